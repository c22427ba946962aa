"""The history of many runs: one page of what changed over time, when, and what changed with it."""
