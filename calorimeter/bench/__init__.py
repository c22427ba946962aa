"""Benchmarks of the load generator and of the report on this machine, beside other programs."""
