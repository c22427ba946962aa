"""Tests of a suite that does not know the plugin."""

import pytest


def test_fixtures_are_its_own(session: str, context: str) -> None:
    """Neither Locust's nor Calorimeter's."""
    assert (session, context) == ("own session", "mine")


def test_options_are_its_own(pytestconfig: pytest.Config) -> None:
    """The values that were given."""
    assert pytestconfig.getoption("--summary") == "file.md"
    assert pytestconfig.getoption("--run") == "mine"


@pytest.mark.gate(1)
def test_marker_is_its_own() -> None:
    """It is run."""


@pytest.mark.gate
def test_marker_without_arguments_is_its_own() -> None:
    """It is run."""
