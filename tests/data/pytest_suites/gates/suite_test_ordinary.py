"""Ordinary tests beside gates."""

import pytest


def test_sum() -> None:
    """It adds up."""
    assert 1 + 1 == 2


def test_skipped() -> None:
    """It is skipped."""
    pytest.skip("today")
