"""Literal trials of a pair for golden evidence: what the holder p1 needs breaks at second 10 and is healed
at 20; p2 takes the address."""

from __future__ import annotations

from typing import Any

from calorimeter.core.deployment import Checks
from calorimeter.core.vrrp import Vrrp
from calorimeter.gates.health.trial import Attempt
from calorimeter.gates.pair.pair_trial import Holding, PairFault, PairTrial, PairTrials, Served

S = 1_000_000_000
STAYS = {
    "p1": Vrrp(priority=102, preempt=False, check_interval_s=1.0, check_fall=2, check_rise=2),
    "p2": Vrrp(priority=101, preempt=False, check_interval_s=1.0, check_fall=2, check_rise=2),
}
BACK = {name: settings.model_copy(update={"preempt": True}) for name, settings in STAYS.items()}
CHECKS = Checks(inter_s=1.0, fall=2, rise=2, timeout_check_s=1.0, timeout_connect_s=10.0)


def at(seconds: float) -> int:
    """Nanoseconds of a moment in seconds."""
    return round(seconds * S)


def attempt(when: float, status: int = 300, took: float = 0.01, error: str = "") -> Attempt:
    """One request."""
    error = error or ("" if status else "closed without an answer")
    return Attempt(
        api="rest", source="127.16.0.1", port=1, kept=False, due_ns=at(when), sent_ns=at(when),
        done_ns=at(when + took), status=status, error=error,
    )  # fmt: skip


def steady(begin: float, end: float, status: int = 300) -> list[Attempt]:
    """Requests every 50 ms."""
    return [attempt(begin + n / 20, status) for n in range(round((end - begin) * 20))]


def served(proxy: str, begin: float, end: float, connections: int = 2) -> list[Served]:
    """Rises of a proxy's counters every 0.1 s."""
    return [
        Served(
            proxy=proxy, since_ns=at(begin + n / 10), seen_ns=at(begin + (n + 1) / 10),
            connections=connections,
        )
        for n in range(round((end - begin) * 10))
    ]  # fmt: skip


def holding(when: float, *holders: str) -> list[Holding]:
    """What the commands `addresses` of both proxies said."""
    return [Holding(proxy=p, at_ns=at(when), holds=p in holders) for p in ("p1", "p2")]


def fault(kind: str = "host", name: str = "unreachable", **more: Any) -> PairFault:
    """A fault from 10 to 20."""
    given = {
        "kind": kind, "part": "P1" if kind == "host" else "p1", "fault": name, "at_ns": at(10),
        "ended_ns": at(10.01), "heal_began_ns": at(20), "healed_ns": at(20.1),
    }  # fmt: skip
    return PairFault(**{**given, **more})


def trial(moved: float | None = 13.0, returned: float | None = None, **more: Any) -> PairTrial:
    """A good trial: requests fail until `moved` (s); p1 serves again from `returned` on (None: p2 stays).

    Everything is quiet from 30 to 32.
    """
    until, taken = moved or 20.0, returned or 32.0
    attempts = [*steady(5, 10), *steady(10.05, until, 0), *steady(until, 32)]
    counters = [*served("p1", 5, 10), *served("p2", until, taken), *served("p1", taken, 32)]
    if moved is None:
        attempts = [*steady(5, 10), *steady(10.05, 20, 0), *steady(20.2, 32)]
        counters = [*served("p1", 5, 10), *served("p1", 20.2, 32)]
    at_end = "p1" if returned or moved is None else "p2"
    given: dict[str, Any] = {
        "holder": "p1", "others": ("p2",), "vrrp": STAYS, "fault": fault(), "began_ns": at(5),
        "quiet_ns": at(30), "ended_ns": at(32), "served": tuple(counters), "attempts": tuple(attempts),
        "holding": (*holding(7, "p1"), *holding(31, at_end)), "checks": CHECKS,
    }  # fmt: skip
    return PairTrial(**{**given, **more})


def trials(*given: PairTrial) -> PairTrials:
    """The evidence of V1 and V2."""
    return PairTrials(proxies=("p1", "p2"), trials=given)
