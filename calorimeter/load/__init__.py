"""Load: Locust users, their HTTP client and source addresses, and the recorder of what they met."""
