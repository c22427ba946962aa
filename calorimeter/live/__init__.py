"""A deployment while it is loaded or watched: its figures, a page, and metrics for Prometheus."""
