"""What one load at a level shows, and which loads are repeated."""

from __future__ import annotations

from typing import Any

import pytest

from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.studies import capacity_search
from calorimeter.studies.backlog_growth import backlog
from calorimeter.studies.levels import Level
from tests.studies.results import level

KEPT, BROKEN, OPEN = (
    passed("kept"),
    failed("1 objective was missed: slow"),
    inconclusive("1 objective was not decided"),
)
EASE, LATE = passed("at ease"), failed("the generator was the bottleneck")
FLAT, GROWN = (backlog("in flight", [1.0] * 60),), (backlog("in flight", [float(n) for n in range(60)]),)


def shown(objectives: Judgement, generator: Judgement = EASE, kind: str = "probe", **other: Any) -> Level:
    """A load that showed this."""
    changes = {"objectives": objectives, "generator": generator, "kind": kind, **other}
    return level(8).model_copy(update=changes)


@pytest.mark.parametrize(
    ("found", "conclusive", "holds"),
    [
        (shown(KEPT), True, True),
        (shown(OPEN), True, True),
        (shown(OPEN, kind="hold"), False, False),
        (shown(KEPT, kind="hold"), True, True),
        (shown(BROKEN), True, False),
        (shown(BROKEN, LATE), False, False),
        (shown(KEPT, LATE), False, False),
        (shown(KEPT, LATE, backlogs=GROWN), False, False),
        (shown(OPEN, kind="hold", backlogs=GROWN), True, False),
        (shown(KEPT, backlogs=GROWN), True, False),
    ],
)
def test_what_a_load_shows(found: Level, conclusive: bool, holds: bool) -> None:
    """A late generator shows nothing, whatever broke; an open objective neither, unless a backlog grew."""
    assert (found.conclusive, found.holds) == (conclusive, holds)


def loads(*found: Level) -> tuple[capacity_search.SearchLoads, list[float]]:
    """Loads whose results are given, one after the other; and how long each lasted."""
    results, seconds = list(found), []

    def load(at: float, kind: capacity_search.Kind, length_s: float) -> Level:
        seconds.append(length_s)
        return results.pop(0).model_copy(update={"level": at, "kind": kind})

    return capacity_search.SearchLoads(load), seconds


def test_a_load_that_shows_nothing_is_repeated() -> None:
    """A halt of the generator is not the capacity of a deployment."""
    study, seconds = loads(shown(KEPT, LATE), shown(KEPT, LATE), shown(KEPT))
    assert study.hold(8, "probe", 10)
    assert seconds == [10, 10, 10]


def test_a_generator_that_is_always_the_bottleneck_ends_the_search() -> None:
    """Three times, and the level does not hold: the result names the generator."""
    study, _ = loads(*[shown(KEPT, LATE)] * 3)
    assert not study.hold(8, "probe", 10)
    assert capacity_search.limit(study.levels, 4, 8).startswith("the generator, not the deployment: ")


def test_a_level_that_breaks_is_not_loaded_again() -> None:
    """A broken objective is conclusive."""
    study, seconds = loads(shown(BROKEN))
    assert not study.hold(8, "probe", 10)
    assert seconds == [10]


def test_a_hold_lasts_until_every_objective_can_be_decided() -> None:
    """By what the last load counted, a quarter more, and the warm-up; never shorter than asked for."""
    study, seconds = loads(shown(KEPT, telling_s=40.0), shown(OPEN, telling_s=64.0), shown(KEPT))
    study.hold(8, "probe", 8)
    assert study.hold(8, "hold", 20)
    assert seconds == [8, 63, 100]


def test_a_hold_below_takes_longer_in_proportion() -> None:
    """With half the arrivals it takes twice as long to decide an objective."""
    study, seconds = loads(shown(BROKEN, kind="hold", telling_s=32.0), shown(KEPT))
    study.hold(8, "hold", 20)
    assert study.hold(4, "hold", 20)
    assert seconds == [20, 100]


def test_a_hold_does_not_last_for_ever() -> None:
    """An operation that was never requested cannot be waited for; a rare one for ten minutes."""
    study, seconds = loads(shown(KEPT, telling_s=None), shown(OPEN, telling_s=9000.0), *[shown(OPEN)] * 2)
    study.hold(8, "probe", 8)
    assert not study.hold(8, "hold", 20)
    assert seconds == [8, 20, 600, 600]
