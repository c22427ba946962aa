"""The table of shapes that `bin/soak shapes` walks."""

from __future__ import annotations

from itertools import combinations

import pytest

from tests.soak.shapes import FACTORS, can_be, shapes


@pytest.mark.slow
def test_each_value_of_an_option_meets_each_value_of_every_other() -> None:
    """All pairs that `lab up` accepts are in the table; it has 24 shapes or more, and none is refused."""
    rows = shapes()
    assert len(rows) >= 24
    assert all(can_be(row) for row in rows)
    met = {pair for row in rows for pair in combinations(zip(FACTORS, row, strict=True), 2)}
    pairs = {
        ((first, one), (second, other))
        for first, second in combinations(FACTORS, 2)
        for one in FACTORS[first]
        for other in FACTORS[second]
        if can_be([one, other])
    }
    assert pairs - met == set()
