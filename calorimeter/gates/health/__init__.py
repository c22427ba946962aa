"""Gates H: backend health and failure."""
