"""Gates B: RabbitMQ while its nodes fail and return."""
