"""How late the generator's own timers were, and when it gives its precedence back."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.host import machine
from calorimeter.core.host.precedence import Precedence
from calorimeter.load.recording.histogram import Histogram
from calorimeter.load.run.generator_monitor import MOST_SWALLOWED, TICK_NS, GeneratorMonitor, lateness

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


class Noted(Precedence):
    """A precedence that notes why it was given back."""

    given_back: str | None = None

    def take(self, level: int) -> None:
        """Take nothing: this process is that of the tests."""

    def give_back(self, why: str = "") -> None:
        """Note the first reason."""
        self.given_back = self.given_back or why


@pytest.mark.parametrize(
    ("cores", "processes", "share", "keeps"),
    [
        (2, 1, 0.85, True),
        (2, 1, 0.95, False),  # the generator is the bottleneck (T3)
        (8, 1, 0.95, False),
        (2, 2, 0.45, True),
        (2, 2, 0.55, False),  # 1.1 of two cores together
        (8, 4, 0.85, True),  # 3.4 of eight
        (8, 8, 0.55, False),
    ],
)
def test_precedence_leaves_half_of_the_machine_to_others(
    cores: int, processes: int, share: float, keeps: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second in which the process used this share of a core."""
    monkeypatch.setattr(machine, "processors", lambda: cores)
    precedence = Noted(of=processes)
    monitor = GeneratorMonitor(tmp_path, "worker-00", None, Histogram(), lambda: (1, 0), print, precedence)
    began = monitor._before
    monkeypatch.setattr(monitor, "_counters", lambda: (began[0] + 1, began[1] + share, *began[2:]))
    monitor._window()
    assert precedence.given_back == (None if keeps else f"after a second with {share:.0%} of its core")
    monitor._greenlet.kill()
    monitor._timer.close()
