"""Gates P: the proxy."""
