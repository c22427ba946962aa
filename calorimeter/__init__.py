"""The words every room of Calorimeter speaks: deployment, sample, run, verdict."""

__version__ = "0.1.0"
