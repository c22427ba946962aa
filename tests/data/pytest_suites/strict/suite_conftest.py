"""A suite with options, fixtures and a marker that are called as the plugin's are."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of this suite."""
    parser.addoption("--run", default="none")
    parser.addoption("--summary")


@pytest.fixture
def session() -> str:
    """The session of this suite."""
    return "own session"


@pytest.fixture
def context(request: pytest.FixtureRequest) -> str:
    """The context of this suite."""
    return str(request.config.getoption("--run"))
