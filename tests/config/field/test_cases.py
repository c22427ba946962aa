"""Every field case is read, audited and corrected without an error of the program."""

from __future__ import annotations

import pytest

from calorimeter.core.errors import InputError
from tests.config.field.cases import NAMES, case


@pytest.mark.parametrize("name", NAMES)
def test_each_case_is_read_to_the_end(name: str) -> None:
    """An audit, its corrections and a description end in a result or in one line of bad input."""
    files = case(name)
    files.audit()
    files.corrected()
    try:
        files.describe()
    except InputError as problem:
        assert "\n" not in str(problem)
