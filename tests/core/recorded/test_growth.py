"""Golden evidence of gate T5: nothing grows, something does, the run cannot tell, the load explains it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calorimeter.core.recorded.growth import (
    KINDS,
    LEAST_WINDOWS,
    WINDOWS,
    GrowthRecord,
    Kind,
    WatchedSeries,
    is_soak,
    nothing_grows,
    slopes,
)
from calorimeter.core.verdict import Outcome
from tests.core.statistics.test_trends import wandering

HOURS_2 = 7200.0


def series(
    kind: Kind, level: float, *, per_h: float = 0.0, noise: float = 0.0, name: str = "", seed: int = 1
) -> WatchedSeries:
    """A series of two hours around a level, that grows by `per_h`."""
    hours = (np.arange(WINDOWS) + 0.5) / WINDOWS * 2
    values = level + per_h * hours + noise * wandering(np.random.default_rng(seed), 0.3, WINDOWS)
    return WatchedSeries(name=name or f"a {kind}", kind=kind, values=tuple(map(float, values)))


STILL = (
    series("memory", 150, noise=1.0, name="engine-1", seed=2),
    series("connections", 40, noise=1.0, name="connections to rest", seed=3),
    series("queue", 0.0, name="messages in engine"),
    series("latency", 30, noise=0.5, name="rest.list", seed=5),
)
LEAK = series("memory", 150, per_h=20, noise=1.0, name="engine-1", seed=2)


def record(*watched: WatchedSeries, length_s: float = HOURS_2, **more: object) -> GrowthRecord:
    """A soak with twelve users; what doubles within a day may."""
    return GrowthRecord.model_validate(
        {"run": "r", "length_s": length_s, "users": 12, "per_day": 1.0, "series": watched, **more}
    )


def test_a_soak_in_which_nothing_grows_passes_and_says_what_was_judged() -> None:
    """Rows are not recorded by a watch: the verdict says so, and passes for the others."""
    found = nothing_grows(record(*STILL))
    assert found.outcome is Outcome.PASS, found.why
    assert found.why == (
        "none of 4 series grows faster than it may; judged: memory of parts, connections, queues, latency; "
        "not recorded: table rows"
    )
    assert (found.figures["series"], found.figures["growing"], found.figures["undecided"]) == (4, 0, 0)
    assert abs(float(found.figures["engine-1 memory_mb_per_h"] or 0)) < 2


def test_a_leak_fails_with_its_slope_and_bounds() -> None:
    """20 MB an hour where 6.7 are allowed; the others do not hide it."""
    found = nothing_grows(record(LEAK, *STILL[1:]))
    assert found.outcome is Outcome.FAIL
    (example,) = found.counter_examples
    assert example.startswith("memory of engine-1: +")
    assert example.endswith("at most 7.09 is allowed"), example
    (slope,) = [each for each in slopes(record(LEAK)) if each.series.name == "engine-1"]
    assert slope.shown.low < 20 < slope.shown.high and slope.surely.low > slope.bound


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "rows"])
def test_growth_of_each_kind_is_found(kind: Kind) -> None:
    """Three times the level in two hours; a bound of the owner that is as large lets it pass."""
    grown = series(kind, 40, per_h=60, noise=0.5)
    assert nothing_grows(record(grown)).outcome is Outcome.FAIL
    assert nothing_grows(record(grown, per_day=100.0)).outcome is Outcome.PASS


def test_a_run_that_is_too_short_or_too_noisy_is_inconclusive() -> None:
    """Five minutes are not judged at all; noise leaves a series open, and the verdict names it."""
    short = nothing_grows(record(LEAK, length_s=300))
    assert (short.outcome, short.why) == (
        Outcome.INCONCLUSIVE, "300 s were measured, growth is judged from 600 s on"
    )  # fmt: skip
    noisy = nothing_grows(record(series("latency", 30, noise=20, name="rest.create"), *STILL[:3]))
    assert noisy.outcome is Outcome.INCONCLUSIVE
    assert noisy.why.startswith(
        "1 of 4 series may grow faster than is allowed, the run is too short to tell (about "
    )
    assert " h would): latency of rest.create: " in noisy.why
    (open_,) = [each for each in slopes(record(series("latency", 30, noise=20))) if each.grows is None]
    assert 5 < open_.longer < 50


def test_growth_that_has_ended_is_not_called_growth() -> None:
    """Caches that fill in the first third: the whole run has a slope, the second half has none."""
    rise = (
        150 + np.minimum(np.arange(WINDOWS), 20) * 2.0 + wandering(np.random.default_rng(3), 0.0, WINDOWS)
    )
    filled = WatchedSeries(name="engine-1", kind="memory", values=tuple(map(float, rise)))
    assert nothing_grows(record(filled)).outcome is Outcome.INCONCLUSIVE


def test_a_load_that_grows_itself_explains_growth() -> None:
    """More stacks, more memory and slower lists: INCONCLUSIVE, and the verdict says what grew."""
    stacks = series("load", 100, per_h=200, name="stacks of the load")
    found = nothing_grows(record(LEAK, *STILL[1:], load=(stacks,)))
    assert found.outcome is Outcome.INCONCLUSIVE
    assert found.why.startswith(
        "1 of 4 series grow faster than they may, but so does the load itself: memory"
    )
    assert "the load itself grew: stacks of the load: +200/h" in found.why
    noisy = series("latency", 30, noise=20, name="rest.create")
    assert nothing_grows(record(noisy, *STILL[:3], load=(stacks,))).outcome is Outcome.INCONCLUSIVE
    assert nothing_grows(record(*STILL, load=(stacks,))).outcome is Outcome.PASS
    steady = series("load", 100, noise=2, name="requests per second")
    assert nothing_grows(record(LEAK, *STILL[1:], load=(steady,))).outcome is Outcome.FAIL


def test_rows_grow_with_the_stacks_that_were_created() -> None:
    """Heat keeps rows of deleted stacks: that is said, and no growth of its own; without stacks it is."""
    rows = series("rows", 10_000, per_h=9000, name="resource", noise=1)
    explained = nothing_grows(record(rows, *STILL, stacks=1234))
    assert explained.outcome is Outcome.PASS
    assert "rows grew with the 1,234 stacks of this load, which Heat keeps after a delete" in explained.why
    assert nothing_grows(record(rows, *STILL)).outcome is Outcome.FAIL


def test_a_series_with_gaps_is_judged_from_what_there_is() -> None:
    """Half of the windows suffice, fewer do not; a restart is said; nothing at all is INCONCLUSIVE."""
    sparse = [value if k % 2 else None for k, value in enumerate(LEAK.values)]
    half = LEAK.model_copy(update={"values": tuple(sparse), "restarted": True})
    found = nothing_grows(record(half))
    assert found.outcome is Outcome.FAIL
    assert "restarted in between, judged since then: memory of engine-1" in found.why
    few = LEAK.model_copy(
        update={"values": (*LEAK.values[: LEAST_WINDOWS - 1], *[None] * (LEAST_WINDOWS + 1))}
    )
    nothing = nothing_grows(record(few))
    assert nothing.outcome is Outcome.INCONCLUSIVE
    assert nothing.why.startswith("no series has values in 30 of 60 windows; judged: nothing")


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_healthy_soaks_are_hardly_ever_red(rho: float) -> None:
    """Twelve series without growth, whose fluctuation alone could exceed the bound: 1 % of runs at most.

    Of 60 runs 0.6 are expected at most; 4 or more have a probability of 0.3 % then.
    """
    rng = np.random.default_rng(int(10 * rho))
    red = 0
    for _ in range(60):
        watched = [
            WatchedSeries(
                name=f"part-{n}", kind="memory",
                values=tuple(map(float, 150 + 30 * wandering(rng, rho, WINDOWS))),
            )
            for n in range(12)
        ]  # fmt: skip
        red += nothing_grows(record(*watched, per_day=0.001)).outcome is Outcome.FAIL
    assert red < 4


def test_a_load_of_ten_minutes_is_a_soak() -> None:
    """By what run.json notes of its length; what is not known may be one."""
    for length_s, warm_up_s, soak in ((90, 5, False), (600, 60, False), (660, 60, True), ("x", 0, True)):
        assert is_soak({"load": {"duration_s": length_s, "warm_up_s": warm_up_s}}) is soak
    assert is_soak({}) and is_soak({"load": []})


def test_every_finite_record_is_judged() -> None:
    """Extreme values, constants and alternations give a verdict whose figures are finite."""
    for level in (0.0, 1e-9, 1e15, -1e15):
        values = tuple(level * (-1) ** k for k in range(WINDOWS))
        found = nothing_grows(record(WatchedSeries(name="x", kind="queue", values=values)))
        assert all(math.isfinite(v) for v in found.figures.values() if isinstance(v, float))
