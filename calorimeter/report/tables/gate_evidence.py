"""Evidence that gates kept, as tables to draw: mapping, rotation, faults and their detection."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import LATEST_NS, LONGEST_S
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.shown_text import one_line

Tree = dict[str, Any]

DRAWN = ("faults.json", "visits*.json", "E2*.json", "H*.json")

_NAME = re.compile(r"[\w-]{1,40}\.json", re.ASCII)

MOST_FILES = 100
"""Files of each kind; a gate keeps one or two."""

MOST_ROWS = 100_000
"""Visits, calls, or requests that failed, in one file."""

MOST_LANES = 200
"""Parts and clients of one trial, or servers of a mapping."""

SHAPE = (KeyError, TypeError, ValueError, AttributeError, IndexError)
"""Errors raised by a file of another shape: it is not drawn, and its verdict stands without it."""


@dataclass(frozen=True, slots=True)
class FaultTrialRow:
    """One trial of a fault.

    `lanes` are the broken servers and those that left the rotation, then the clients of each API, even if
    all their requests were served. `spans` has `lane`, `kind` (`fault`, `out`, `failed`), `from_s` and
    `to_s` since the trial began.
    """

    file: str
    fault: str
    lanes: tuple[str, ...]
    spans: pd.DataFrame
    length_s: float

    @property
    def detections(self) -> pd.DataFrame:
        """Each broken server: `lane`, `from_s`, `to_s`, `detection_s`, `recovery_s`.

        Detection counts from the fault until the proxy had the server out of its rotation, recovery from
        the start of the healing until it had it back; NaN if that was not seen.
        """
        faults = self.spans[self.spans["kind"] == "fault"][["lane", "from_s", "to_s"]]
        outs = self.spans[self.spans["kind"] == "out"]
        rows = []
        for lane, from_s, to_s in faults.itertuples(index=False):
            own = outs[(outs["lane"] == lane) & (outs["to_s"] > from_s) & (outs["from_s"] >= from_s - 1e-9)]
            seen, back = own["from_s"].min(), own["to_s"].max()
            recovered = back > to_s and back < self.length_s  # a span that ends with the trial may go on
            # A fault at 0 began before the trial: its detection is not known.
            detected = seen - from_s if from_s > 0 else math.nan
            rows.append((lane, from_s, to_s, detected, back - to_s if recovered else math.nan))
        return pd.DataFrame(rows, columns=["lane", "from_s", "to_s", "detection_s", "recovery_s"])


def injected(folder: Path, start_ns: int) -> pd.DataFrame:
    """Faults injected during a load: `lane`, `fault`, `from_s`, `to_s` (its healing) since the start."""
    rows = []
    for _, tree in _trees(folder, "faults.json"):
        try:
            for each in tree["faults"]:
                at = _time(each["at_ns"] or each["ended_ns"])
                name, kind = str(each["fault"]["part"]), str(each["fault"]["fault"])
                rows.append(
                    (name, kind, (at - start_ns) / 1e9, (_time(each["healed_ns"]) - start_ns) / 1e9)
                )
        except SHAPE:
            continue
    return pd.DataFrame(rows, columns=["lane", "fault", "from_s", "to_s"])


def mapping(folder: Path) -> pd.DataFrame:
    """Which source was served by which backend: `api`, `source`, `server`, `n`."""
    rows: list[tuple[str, str, str]] = []
    for _, tree in _trees(folder, "visits*.json"):
        try:
            found = list(_visits(tree))
            if len({server for _, _, server in found}) > MOST_LANES or len(found) > MOST_ROWS:
                raise ValueError("more than a gate sends")
            rows += found
        except SHAPE:
            continue
    columns = ["api", "source", "server"]
    return pd.DataFrame(rows, columns=columns).groupby(columns).size().rename("n").reset_index()


def _visits(tree: Tree) -> Iterator[tuple[str, str, str]]:
    for one in tree.get("apis", [tree]):
        for visit in one["visits"]:
            if visit["server"]:
                yield str(one["api"]), str(visit["source"]), str(visit["server"])


def rotation(folder: Path) -> pd.DataFrame:
    """The order in which engines took calls: `call` (from 1) and `engine`."""
    for _, tree in _trees(folder, "E2*.json"):
        try:
            names = {consumer["id"]: str(consumer["name"]) for consumer in tree["before"]}
            order = [names.get(one["consumer"], "a stranger") for one in tree["deliveries"]]
        except SHAPE:
            continue
        if len({*order}) > MOST_LANES:
            continue
        return pd.DataFrame({"call": range(1, len(order) + 1), "engine": order})
    return pd.DataFrame({"call": [], "engine": []})


def trials(folder: Path) -> list[FaultTrialRow]:
    """Every trial of the gates, in the order of their files."""
    found = []
    for name, tree in _trees(folder, "H*.json"):
        try:
            each = tree.get("trials", [tree])
            found += [_trial(name, one) for one in each[:MOST_FILES] if one.get("injected")]
        except SHAPE:
            continue
    return found


def _trial(name: str, tree: Tree) -> FaultTrialRow:
    begins, ends = _time(tree["began_ns"]), _time(tree["ended_ns"])
    length_s = (ends - begins) / 1e9
    if not 0 <= length_s <= LONGEST_S or len(tree["attempts"]) > MOST_ROWS:
        raise ValueError("no trial of a gate")

    def s(t_ns: int) -> float:
        return min(max((t_ns - begins) / 1e9, 0.0), length_s)

    spans: list[tuple[str, str, float, float]] = []
    for fault in tree["injected"]:
        if fault["at_ns"]:
            healed = fault["heal_began_ns"] or ends
            spans.append((str(fault["server"]), "fault", s(fault["at_ns"]), s(healed)))
    spans += [(server, "out", s(begin), s(end)) for server, begin, end in _out(tree)]
    for attempt in tree["attempts"]:
        if not 0 < attempt["status"] < 500:
            lane = f"{str(attempt['api']).upper()} clients"
            spans.append((lane, "failed", s(attempt["due_ns"]), s(attempt["done_ns"])))
    table = pd.DataFrame(spans, columns=["lane", "kind", "from_s", "to_s"])
    clients = sorted({f"{str(attempt['api']).upper()} clients" for attempt in tree["attempts"]})
    servers = sorted(set(table["lane"]) - set(clients))
    if len(servers) + len(clients) > MOST_LANES:
        raise ValueError("more parts than a gate breaks")
    return FaultTrialRow(name, str(tree["fault"]).replace("_", " "), (*servers, *clients), table, length_s)


def _time(value: Any) -> int:
    found = int(value)
    if not 0 <= found <= LATEST_NS:
        raise ValueError("no time of a run")
    return found


def _out(tree: Tree) -> Iterator[tuple[str, int, int]]:
    """When the proxy showed a server out of its rotation, from the changes of its status."""
    since: dict[str, int] = {}
    for change in sorted(tree["changes"], key=lambda change: _time(change["seen_ns"])):
        server, seen = str(change["server"]), _time(change["seen_ns"])
        out = str(change["status"]).startswith(("DOWN", "MAINT", "DRAIN", "NOLB"))
        if out:
            since.setdefault(server, seen)
        elif server in since:
            yield server, since.pop(server), seen
    for server, began in since.items():
        yield server, began, _time(tree["ended_ns"])


def _trees(folder: Path, pattern: str) -> Iterator[tuple[str, Tree]]:
    """The objects in files of evidence whose names a gate gives: they become names of figures."""
    for path in _files(folder, pattern):
        with suppress(InputError):
            tree = files.read_json(path, limit=recorded_json.LIMIT, within=folder.parent)
            if isinstance(tree, dict):
                yield path.stem, tree


def _files(folder: Path, pattern: str) -> list[Path]:
    try:
        found = RunDir(folder.parent).named(folder.name, pattern)
    except InputError:
        return []
    return [path for path in found if _NAME.fullmatch(path.name)][:MOST_FILES]


def gaps(folder: Path) -> Iterator[str]:
    """A sentence for each file of evidence that this module would read, but cannot."""
    try:
        found = [path for kind in DRAWN for path in RunDir(folder.parent).named(folder.name, kind)]
    except InputError as problem:
        yield f"{folder.name}/ was left out: it {problem.given}."
        return
    for path in found[:MOST_FILES]:
        try:
            if not _NAME.fullmatch(path.name):
                raise InputError("", "has a name that no gate gives")
            files.read_json(path, limit=recorded_json.LIMIT, within=folder.parent)
        except InputError as problem:
            yield f"{folder.name}/{one_line(path.name)} was left out: it {problem.given}."
