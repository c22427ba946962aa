"""Calorimeter: load-tests and verifies a scaled-out OpenStack Heat."""

__version__ = "0.1.0"
