"""An upgrade of Heat, step by step, while a load runs."""
