"""Faults as data: what is to be broken when, who may, and the certainty that all of it is healed."""
