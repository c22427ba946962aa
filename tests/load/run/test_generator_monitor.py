"""How late the generator's own timers were."""

from __future__ import annotations

import pytest

from calorimeter.load.run.generator_monitor import MOST_SWALLOWED, TICK_NS, lateness

MS = 1_000_000


@pytest.mark.parametrize(
    ("late_ms", "noted_ms"),
    [
        (-1, [0]),
        (0, [0]),
        (3, [3]),
        (10, [10]),
        (25, [25, 15, 5]),
        (500, [500 - 10 * n for n in range(50)]),
    ],
)
def test_a_halt_counts_every_tick_that_it_swallowed(late_ms: int, noted_ms: list[int]) -> None:
    """Half a second in which nothing ran is fifty late ticks, not one."""
    assert lateness(late_ms * MS) == [late * MS for late in noted_ms]


def test_a_long_halt_is_bounded() -> None:
    """A laptop that slept must not fill the memory."""
    assert len(lateness(3600 * 10**9)) == MOST_SWALLOWED + 1
    assert TICK_NS == 10 * MS
