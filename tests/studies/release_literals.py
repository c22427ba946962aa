"""Rounds of releases with a known truth, as literals."""

from __future__ import annotations

from typing import Any

from calorimeter.core.verdict import failed, passed
from calorimeter.studies.releases.release_rounds import AskedReleases, ReleaseRound, ReleasesResult
from calorimeter.studies.releases.release_sides import SIDES, ReleaseSide
from calorimeter.studies.scale_result import MACHINE
from tests.studies.results import WHERE

OLD, NEW = SIDES[0], SIDES[4]


def a_round(side: str, turn: int, slow: float = 1.0, *, late: bool = False) -> ReleaseRound:
    """A round whose figures are literals times `slow`, and differ a little from turn to turn."""
    factor = slow * (1 + (turn - 1) / 1000)
    used = tuple(
        {"kind": kind, "processes": 1, "cpu_s": seconds * factor}
        for kind, seconds in (("rest", 2.0), ("engine", 4.0), ("memcached", 1.0), (MACHINE, 19.0))
    )
    load: dict[str, Any] = {
        "window_s": 10.0,
        "done": 100,
        "requests": 101,
        "failed": 1,
        "response_ms": {},
        "used": used,
        "generator": failed("its generator was late", ()) if late else passed("at ease"),
    }
    memory = tuple(
        {"kind": kind, "parts": 1, "bytes": round(size * factor * 2**20)}
        for kind, size in (("rest", 100), ("engine", 150), ("mariadb", 90))
    )
    return ReleaseRound.model_validate(
        {
            "turn": turn,
            "side": side,
            "started": f"2026-01-02T03:0{turn}:05+00:00",
            "took_s": 200.0,
            "load_average": (0.1, 1.4),
            "versions": {"rest": "27.0.1"},
            "start_s": {"rest": 2.0 * factor, "engine": 4.0 * factor},
            "idle_s": 5.0,
            "idle_used": used,
            "memory_idle": memory,
            "memory_loaded": memory,
            "loads": (
                {**load, "load": "equal-load", "response_ms": {"all p50": 40.0 * factor, "all p99": 90.0}},
                {**load, "load": "closed-list"},
            ),
            "engines": (
                {"action": "check", "engines": 1 if slow == 1 else 3, "of": 3, "messages": 12,
                 "outcome": "CHECK_COMPLETE"},
                {"action": "suspend", "engines": 0, "of": 3, "messages": 0, "outcome": "SUSPEND_COMPLETE",
                 "doubt": "it was not traced"},
            ),
        }
    )  # fmt: skip


def asked(rounds: int, sides: tuple[ReleaseSide, ...] = (OLD, NEW)) -> AskedReleases:
    """What was asked for: two sides at 16 arrivals a second."""
    return AskedReleases(
        sides={side.name: side.words for side in sides},
        rounds=rounds,
        rate_per_s=16.0,
        loads={"equal-load": "0123"},
        circumstances=WHERE,
    )


def result(rounds: int = 5, slow: float = 1.5, *, late: bool = False) -> ReleasesResult:
    """All rounds of two sides, the second of which is slower by `slow`."""
    made = [
        a_round(side.name, turn, factor, late=late)
        for turn in range(1, rounds + 1)
        for side, factor in ((OLD, 1.0), (NEW, slow))
    ]
    return ReleasesResult(circumstances=WHERE, asked=asked(rounds), rounds=tuple(made))
