"""One run of Locust: users, sessions, workers, and the processes beside them."""
