"""Evidence of T5, from the run folder of a recorded load: its watch files, its ledger and its samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.host.machine import WHOLE_MACHINE
from calorimeter.core.recorded import recorded_json, stack_tables
from calorimeter.core.recorded.growth import (
    KINDS,
    LEAST_RECORD_S,
    WINDOWS,
    GrowthRecord,
    Kind,
    WatchedSeries,
)
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.recorded_json import LARGEST, LATEST_NS, LONGEST_S
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_stream import TAKEN
from calorimeter.core.statistics import CELLS, WindowHistograms
from calorimeter.core.statistics.percentiles import STEP
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.counted_samples import CountedSamples, read
from calorimeter.gates.service_level.recorded_load import scenario_of

Poll = dict[str, Any]
Values = Iterator[tuple[Kind, str, float]]

MB = 1e6
MOST_SERIES = 1000
LEAST_SAMPLES = 5
"""Successes of an operation in a window, for a median."""

LONGEST_NAME = 1000


def growth_of(context: Context) -> GrowthRecord:
    """Evidence of T5: how memory, connections, queues, rows and latency moved over the measured part.

    Raises `EvidenceUnavailable` if the run holds no samples or no scenario, or one of them is damaged.
    """
    run = context.recorded
    scenario, counted = scenario_of(run), read(run)
    part = counted.part
    if part is None or part.length_s < LEAST_RECORD_S:
        raise EvidenceUnavailable(str(run.path), "less than a second was measured")
    watched = _Windows(part)
    missing = [
        line
        for name, values in (("processes", _Processes()), ("proxy", _sections), ("broker", _queues))
        if (line := watched.read(run, name, values))
    ]
    latencies, requests = _samples(counted, part)
    stacks, held = _stacks(run, part)
    return GrowthRecord(
        run=run.path.name,
        length_s=part.length_s,
        users=scenario.users,
        per_day=context.deployment.expect.max_growth_per_day,
        series=(*watched.series(), *latencies),
        load=(requests, *held),
        stacks=stacks,
        missing=tuple(missing),
    )


@dataclass(slots=True)
class _Windows:
    """Sums of what was polled in each window of a part, by kind and name."""

    part: Span
    sums: dict[tuple[Kind, str], np.ndarray[Any, Any]] = field(default_factory=dict)
    restarted: set[tuple[Kind, str]] = field(default_factory=set)

    def read(self, run: RunDir, name: str, values: Callable[[Poll], Values]) -> str:
        """Add the polls of a file of the watch. Returns a sentence about what is missing, or ""."""
        file, bad = f"watch/{name}.jsonl", 0
        try:
            for poll in recorded_json.lines(run.path / file, within=run.path):
                bad += not self._add(poll, values)
        except MissingFileError:
            return f"{file} is missing"
        except InputError as problem:
            return f"{file} was left out from some line on: it {problem.given}"
        if len(self.sums) > MOST_SERIES:
            raise EvidenceUnavailable(file, f"names more than {MOST_SERIES:,} parts")
        return f"{file}: {bad} polls got no answer or are damaged" if bad else ""

    def _add(self, poll: Poll | None, values: Callable[[Poll], Values]) -> bool:
        """Whether a poll could be used: all of it or nothing is."""
        try:
            at_ns = _within((poll or {})["t_ns"], LATEST_NS)
            found = list(values(poll or {}))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return False
        window = window_of(at_ns, self.part)
        for kind, name, value in found:
            if value < 0:  # what was known of it is of another process
                self.sums.pop((kind, name), None)
                self.restarted.add((kind, name))
            elif 0 <= window < WINDOWS and len(self.sums) <= MOST_SERIES:
                own = self.sums.setdefault((kind, name), np.zeros((2, WINDOWS)))
                own[:, window] += value, 1
        return True

    def series(self) -> Iterator[WatchedSeries]:
        """A series of means for each kind and name, in the order of `KINDS`."""
        order = list(KINDS)
        for key in sorted(self.sums, key=lambda key: (order.index(key[0]), key[1])):
            total, count = self.sums[key]
            yield WatchedSeries(
                name=key[1],
                kind=key[0],
                values=_rounded(np.where(count > 0, total / np.maximum(count, 1), np.nan)),
                restarted=key in self.restarted,
            )


def window_of(at_ns: int, part: Span) -> int:
    """The window of a moment; −1 before the part, `WINDOWS` after it."""
    if at_ns < part.first_ns:
        return -1
    return min(WINDOWS, (at_ns - part.first_ns) * WINDOWS // max(1, part.last_ns - part.first_ns + 1))


class _Processes:
    """Memory of parts (−1: restarted), and rows of tables if the `usage` command prints them."""

    def __init__(self) -> None:
        self._used_s: dict[str, float] = defaultdict(float)

    def __call__(self, poll: Poll) -> Values:
        for row in poll["processes"]:
            part, used_s = _name(row["part"]), float(row["cpu_s"])
            if not 0 <= used_s <= LONGEST_S:
                raise ValueError("a number that no poll can have")
            held, before_s = _within(row["rss_bytes"], LARGEST), self._used_s[part]
            self._used_s[part] = used_s
            if part == WHOLE_MACHINE:  # with the load generator, and whatever else runs there
                continue
            if used_s < before_s or not held:
                yield "memory", part, -1.0
            if held:
                yield "memory", part, held / MB
        for row in poll.get("tables", ()):
            yield "rows", _name(row["table"]), float(_within(row["rows"], LARGEST))


def _sections(poll: Poll) -> Values:
    """Open and waiting connections of each section of a proxy, as its row BACKEND counts them."""
    proxy = _name(poll.get("proxy", "proxy"))
    for row in poll["servers"]:
        if row["server"] == "BACKEND":
            name = f"{_name(row['section'])} at {proxy}"
            yield "connections", f"connections to {name}", float(_within(row.get("scur") or 0, LARGEST))
            yield "queue", f"connections that wait in {name}", float(_within(row.get("qcur") or 0, LARGEST))


def _queues(poll: Poll) -> Values:
    """Messages in each queue, and channels that consume from one."""
    for row in poll["queues"]:
        ready, given = (
            _within(row.get(f"messages_{state}") or 0, LARGEST) for state in ("ready", "unacknowledged")
        )
        yield "queue", f"messages in {_name(row['name'])}", float(ready + given)
    if isinstance(poll.get("channels"), list):
        yield "connections", "consuming channels of the broker", float(len(poll["channels"]))


def _samples(counted: CountedSamples, part: Span) -> tuple[list[WatchedSeries], WatchedSeries]:
    """The median response time of each operation, and the requests per second, over the windows."""
    histograms, due = WindowHistograms(WINDOWS), np.zeros(WINDOWS, dtype=np.int64)
    for block in counted.samples.blocks(TAKEN):
        chosen = block.rows(part.holds(block.due_ns))
        windows = (chosen.due_ns - part.first_ns) * WINDOWS // max(1, part.last_ns - part.first_ns + 1)
        due += np.bincount(windows, minlength=WINDOWS)
        ok = chosen.ok
        histograms.add(chosen.response_ns[ok], chosen.kind[ok], windows[ok])
    found = [
        WatchedSeries(name=name.replace(" ", ".", 1), kind="latency", values=_medians(histograms.of(code)))
        for code, name in enumerate(counted.samples.kinds)
    ]
    per_s = due / (part.length_s / WINDOWS)
    load = WatchedSeries(name="requests per second", kind="load", values=_rounded(per_s))
    return [each for each in found if any(value is not None for value in each.values)], load


def _medians(windows: np.ndarray[Any, Any]) -> tuple[float | None, ...]:
    """The median in ms of each row of histograms, to within their cells of half a percent."""
    reached = windows.cumsum(axis=1)
    total = reached[:, -1:]
    cells = (reached >= np.maximum(total, 1) / 2).argmax(axis=1)
    assert windows.shape[1] == CELLS
    return _rounded(np.where(total[:, 0] >= LEAST_SAMPLES, np.exp((cells + 0.5) * STEP) / 1e6, np.nan))


def _stacks(run: RunDir, part: Span) -> tuple[int, tuple[WatchedSeries, ...]]:
    """How many stacks the load created in the part, and how many existed at the end of each window."""
    try:
        ledger = stack_tables.ledger(run)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
    if ledger is None:
        return 0, ()
    accepted = np.sort(stack_tables.ns(ledger, "accepted_ns"))
    deleted = np.sort(stack_tables.ns(ledger[ledger["deleted_ns"] > 0], "deleted_ns"))
    ends = part.first_ns + (np.arange(WINDOWS) + 1) * ((part.last_ns - part.first_ns) // WINDOWS)
    held = np.searchsorted(accepted, ends, "right") - np.searchsorted(deleted, ends, "right")
    created = int(part.holds(accepted).sum())
    return created, (WatchedSeries(name="stacks of the load", kind="load", values=_rounded(held)),)


def _rounded(values: np.ndarray[Any, Any]) -> tuple[float | None, ...]:
    return tuple(round(float(value), 6) if np.isfinite(value) else None for value in values)


def _within(value: Any, most: int) -> int:
    found = int(value) if not isinstance(value, str) else -1
    if not 0 <= found <= most:
        raise ValueError("a number that no poll can have")
    return found


def _name(value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_NAME:
        raise ValueError("a name that no part of a deployment has")
    return value
