"""Gates that prove or refute what a scaled-out Heat promises."""
