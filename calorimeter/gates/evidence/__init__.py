"""Readers of evidence: what a deployment shows of itself, as records that can be kept."""
