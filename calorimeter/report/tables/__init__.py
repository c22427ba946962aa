"""Tables of a run: pure functions from what was recorded to tidy data frames."""
