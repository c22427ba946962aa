"""Experiments: what is done to a deployment to get the evidence that a check judges."""
