"""One run of Locust: users, sessions, workers, and what goes on beside them."""
