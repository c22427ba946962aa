"""Loads the gates' pytest plugin where the suite is not installed."""

pytest_plugins = ["calorimeter.pytest_plugin"]
