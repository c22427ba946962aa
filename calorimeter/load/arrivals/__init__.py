"""Open-loop load: when arrivals are due, and which user takes them."""
