"""Workloads as TOML, their templates, and the loader of both."""
