"""Field cases mutated at random: no traceback, safe patches, no secret shown (more: `bin/soak field`)."""

from __future__ import annotations

import pytest

from tests.config.field.mutations import mutated
from tests.config.field.promises import broken_promises

QUICK, SLOW = 6, 240
"""A case takes 0.05 s of processor time."""


@pytest.mark.parametrize(
    "first",
    [0, *(pytest.param(first, marks=pytest.mark.slow) for first in range(QUICK, SLOW, 6))],
)
def test_mutated_cases_keep_all_promises(first: int) -> None:
    """Audit, correction, output and description of mutated files keep what they promise."""
    faults = {number: broken_promises(mutated(number)) for number in range(first, first + 6)}
    assert {number: found for number, found in faults.items() if found} == {}
