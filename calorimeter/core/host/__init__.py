"""This machine and its processes: what it allows, whose its files are, guardians, namespaces."""
