"""Load generation: Locust users, their HTTP client and sources, and the records of their requests."""
