"""The table of shapes that `bin/soak shapes` walks."""

from __future__ import annotations

import pytest

from tests.soak.shapes import FACTORS, accepted_pairs, can_be, pairs_of, shapes


@pytest.mark.slow
def test_each_value_of_an_option_meets_each_value_of_every_other() -> None:
    """All pairs that `lab up` accepts are in the table; it has 24 shapes or more, and none is refused."""
    rows = shapes()
    assert len(rows) >= 24
    assert all(can_be(shape) and tuple(shape) == tuple(FACTORS) for shape in rows)
    met = {pair for shape in rows for pair in pairs_of(shape)}
    assert set(accepted_pairs()) - met == set()
