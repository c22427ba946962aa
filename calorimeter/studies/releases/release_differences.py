"""What rounds of two releases say: each figure of a round, and how it differs between two sides. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from calorimeter.core import statistics
from calorimeter.core.statistics import Difference
from calorimeter.core.verdict import Outcome
from calorimeter.studies.releases.release_rounds import MeasuredLoad, ReleaseRound, ReleasesResult
from calorimeter.studies.releases.release_sides import EQUAL, PAIRS, ROUND_LOADS
from calorimeter.studies.scale_result import MACHINE, ProcessorUse

COMPONENTS = {
    "rest": "API",
    "engine": "engines",
    "rabbitmq": "broker",
    "proxy": "proxy",
    "mariadb": "database",
    "keystone": "Keystone",
}
"""Kind of part → what the page calls it. Others, such as memcached, count in the sum of all parts only."""

ALL = "all parts"
MIB = 2**20

LEAST = 1e-9
"""Less than this is 0: the clocks of no machine show it, and its reciprocal may be no number."""

MISCOUNTED = 1.02
"""How much more than the whole machine its parts may seem to use: they are read one after the other."""

SHORTEST_S = 0.1
"""The shortest time by which anything is divided; a round has 5 s and more."""

MORE, SLOWER, FEWER = ("more", "less"), ("slower", "faster"), ("more", "fewer")
"""What a larger and a smaller figure of the right side is called."""


class Measured(NamedTuple):
    """What a figure is of: its group and name, its unit, and what larger and smaller are called.

    `main` is whether the figures of the page show it.
    """

    group: str
    name: str
    unit: str
    words: tuple[str, str] = MORE
    main: bool = False

    @property
    def label(self) -> str:
        """All of it in one line."""
        return f"{self.group}: {self.name}, {self.unit}"


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """One figure on both sides, with one value for each round; `found` is None if a side has none."""

    measured: Measured
    left: tuple[float, ...]
    right: tuple[float, ...]
    found: Difference | None

    @property
    def enough(self) -> bool:
        """Whether both sides have so many rounds that any difference can be told from chance."""
        return min(len(self.left), len(self.right)) >= statistics.MINIMUM_SIDE

    @property
    def detected(self) -> bool:
        """Whether the sides differ, by the rule of all comparisons."""
        return self.found is not None and self.enough and self.found.detected

    @property
    def finding(self) -> str:
        """The finding in words."""
        if not self.enough or self.found is None:
            return f"too few rounds: {len(self.left)} and {len(self.right)}"
        if not self.found.detected:
            return "no detectable difference"
        return self.measured.words[0 if self.found.larger else 1]


def figures(each: ReleaseRound) -> Iterator[tuple[Measured, float]]:
    """All figures of a round.

    Response times and throughput of a load whose generator was the bottleneck (gate T3 is FAIL) are left
    out: they may be those of the generator. What the load cost is not.
    """
    units = {load.name: load.unit for load in ROUND_LOADS}
    for load in each.loads:
        yield from _of_load(load, units.get(load.load, load.load))
    yield from _memory_and_start(each)
    for kind, name, used in _components(each.idle_used):
        if each.idle_s >= SHORTEST_S:
            main = kind == ALL
            yield (
                Measured("Processor time without load", name, "ms per s", main=main),
                1e3 * used / each.idle_s,
            )
    for share in each.engines:
        if not share.doubt:
            one = Measured("Engines that take part in one action", share.action, f"of {share.of}", FEWER)
            yield one, float(share.engines)


def _of_load(load: MeasuredLoad, unit: str) -> Iterator[tuple[Measured, float]]:
    if load.done:
        for kind, name, used in _components(load.used):
            yield (
                Measured(f"Processor time per {unit}", name, "ms", main=kind == ALL),
                1e3 * used / load.done,
            )
    if load.load == EQUAL.name and load.requests:
        share = 100 * load.failed / load.requests
        yield Measured("Failed or not sent at equal load", "all", "%"), share
    if load.generator.outcome is Outcome.FAIL or load.window_s < SHORTEST_S:
        return
    if load.load == EQUAL.name:
        for name, value in sorted(load.response_ms.items()):
            yield Measured("Response time at equal load", name, "ms", SLOWER, name.startswith("all")), value
    else:
        rate = load.done / load.window_s
        yield Measured("Throughput of 4 users", unit, "per s", FEWER, main=True), rate


def _memory_and_start(each: ReleaseRound) -> Iterator[tuple[Measured, float]]:
    for when, memory in (("idle", each.memory_idle), ("after load", each.memory_loaded)):
        for part in memory:
            if part.kind in ("rest", "engine"):
                name = {"rest": "one API", "engine": "one engine"}[part.kind]
                yield Measured(f"Memory, {when}", name, "MiB", main=True), part.bytes / MIB
    for kind, seconds in sorted(each.start_s.items()):
        yield Measured("Start until it serves", {"rest": "API"}.get(kind, kind), "s", SLOWER, True), seconds


def _components(used: Sequence[ProcessorUse]) -> Iterator[tuple[str, str, float]]:
    """(kind, name, seconds) of each component, and of all parts of the lab together.

    Nothing if the parts used more than the whole machine: then one of the two was miscounted.
    """
    seconds = {each.kind: each.cpu_s for each in used}
    machine = seconds.pop(MACHINE, math.inf)
    if sum(seconds.values()) > machine * MISCOUNTED:
        return
    for kind, name in COMPONENTS.items():
        if kind in seconds:
            yield kind, name, seconds[kind]
    if seconds:
        yield ALL, ALL, sum(seconds.values())


Values = dict[Measured, tuple[float, ...]]


def values(rounds: Iterable[ReleaseRound]) -> Values:
    """Each figure with its value in each round that has it, in the order of the rounds."""
    found: dict[Measured, list[float]] = {}
    for each in rounds:
        for measured, value in figures(each):
            found.setdefault(measured, []).append(value if value >= LEAST else 0.0)
    return {measured: tuple(some) for measured, some in found.items()}


def rows(left: Iterable[ReleaseRound], right: Iterable[ReleaseRound]) -> list[ReleaseRow]:
    """Every figure of two sides, compared by `calorimeter.core.statistics.RULE`."""
    both = values(left), values(right)
    return [
        ReleaseRow(
            measured,
            one := both[0].get(measured, ()),
            other := both[1].get(measured, ()),
            statistics.difference(one, other) if one and other else None,
        )
        for measured in dict.fromkeys((*both[0], *both[1]))
    ]


def pairs(result: ReleasesResult) -> list[tuple[str, str]]:
    """The pairs of sides to compare: those of the study that were asked for, else neighbours."""
    sides = list(result.asked.sides)
    known = [pair for pair in PAIRS if set(pair) <= set(sides)]
    return known or list(pairwise(sides))
