"""Workloads: scenarios in TOML, their templates, and the functions that read both."""
