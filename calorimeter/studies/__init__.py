"""Studies: what needs many runs."""
