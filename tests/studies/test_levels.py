"""What one look at a level says, and looks that are taken again."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.studies import capacity
from calorimeter.studies.backlog import backlog
from calorimeter.studies.levels import Level
from tests.studies.results import level

KEPT, BROKEN, OPEN = passed("kept"), failed("1 promise is broken: slow"), inconclusive("1 promise is open")
EASE, LATE = passed("at ease"), failed("the generator was the bottleneck")
FLAT, GROWN = (backlog("in flight", [1.0] * 60),), (backlog("in flight", [float(n) for n in range(60)]),)


def look(objectives: Judgement, generator: Judgement = EASE, kind: str = "probe", **other: Any) -> Level:
    """A look that found this."""
    changes = {"objectives": objectives, "generator": generator, "kind": kind, **other}
    return level(8).model_copy(update=changes)


@pytest.mark.parametrize(
    ("seen", "told", "holds"),
    [
        (look(KEPT), True, True),
        (look(OPEN), True, True),
        (look(OPEN, kind="hold"), False, False),
        (look(KEPT, kind="hold"), True, True),
        (look(BROKEN), True, False),
        (look(BROKEN, LATE), False, False),
        (look(KEPT, LATE), False, False),
        (look(KEPT, LATE, backlogs=GROWN), False, False),
        (look(OPEN, kind="hold", backlogs=GROWN), True, False),
        (look(KEPT, backlogs=GROWN), True, False),
    ],
)
def test_what_a_look_tells(seen: Level, told: bool, holds: bool) -> None:
    """A late generator says nothing, whatever broke; an open promise neither, unless something grew."""
    assert (seen.told, seen.holds) == (told, holds)


class Looks(capacity.Study):
    """A study whose looks are given."""

    def __init__(self, *found: Level) -> None:
        self.levels = []
        self.seconds: list[float] = []
        self._found = list(found)

    def _look(self, level: float, kind: capacity.Kind, seconds: float) -> Level:
        self.seconds.append(seconds)
        self.levels.append(self._found.pop(0).model_copy(update={"level": level, "kind": kind}))
        return self.levels[-1]


def test_a_look_that_says_nothing_is_taken_again() -> None:
    """A halt of the generator is not the capacity of a deployment."""
    study = Looks(look(KEPT, LATE), look(KEPT, LATE), look(KEPT))
    assert study.load(8, "probe", 10)
    assert study.seconds == [10, 10, 10]


def test_a_generator_that_is_always_the_bottleneck_ends_the_search() -> None:
    """Three times, and the level does not hold: the result says that it was the generator."""
    study = Looks(*[look(KEPT, LATE)] * 3)
    assert not study.load(8, "probe", 10)
    assert capacity.limit(study.levels, 4, 8).startswith("the generator, not the deployment: ")


def test_what_breaks_is_not_looked_at_again() -> None:
    """A broken promise is news enough."""
    study = Looks(look(BROKEN))
    assert not study.load(8, "probe", 10)


def test_a_hold_lasts_until_every_promise_is_told() -> None:
    """Of what the last look counted, a quarter more, and the warm-up; never shorter than asked."""
    study = Looks(look(KEPT, telling_s=40.0), look(OPEN, telling_s=64.0), look(KEPT))
    study.load(8, "probe", 8)
    assert study.load(8, "hold", 20)
    assert study.seconds == [8, 63, 100]


def test_a_hold_below_takes_longer_in_proportion() -> None:
    """Half the arrivals take twice as long to tell a promise."""
    study = Looks(look(BROKEN, kind="hold", telling_s=32.0), look(KEPT))
    study.load(8, "hold", 20)
    assert study.load(4, "hold", 20)
    assert study.seconds == [20, 100]


def test_a_hold_does_not_wait_for_ever() -> None:
    """An operation that was never asked for cannot be waited for; a rare one for ten minutes."""
    study = Looks(look(KEPT, telling_s=None), look(OPEN, telling_s=9000.0), *[look(OPEN)] * 2)
    study.load(8, "probe", 8)
    assert not study.load(8, "hold", 20)
    assert study.seconds == [8, 20, 600, 600]
