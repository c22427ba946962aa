"""Gates E: the engines and their queue."""
