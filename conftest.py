"""Loads the pytest plugin of the gates, also if the suite is not installed or entry points are off."""

pytest_plugins = ["calorimeter.pytest_plugin"]
