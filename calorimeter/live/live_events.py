"""What happens to a deployment while it is watched: faults from their journal, verdicts as they turn."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import Journal, OpenFault
from calorimeter.core.shown_text import one_line
from calorimeter.core.verdict import Verdicts
from calorimeter.live.live_figures import MOST_GATES, DataSource, FaultNow, GateNow

MOST_FAULTS = 100
MOST_RUNS = 50
"""The newest folders of runs in which verdicts are looked for."""

LONGEST = 600


class LiveFaults:
    """The faults of one deployment, as its journal shows them: whoever injects them writes it first."""

    def __init__(self, deployment: Deployment) -> None:
        self._journal = Journal.of(deployment)
        self._seen: dict[tuple[str, str, int], FaultNow] = {}
        self._problem = ""

    def figures(self, now_ns: int) -> list[FaultNow]:
        """The newest faults, in order of time. One that left the journal was healed by now."""
        try:
            content = self._journal.read()
            self._problem = ""
        except InputError as problem:
            self._problem = one_line(str(problem))[:LONGEST]
            return self._found()
        return self.after(content.open if content else (), now_ns)

    def after(self, open_faults: tuple[OpenFault, ...], now_ns: int) -> list[FaultNow]:
        """The faults, when these are open now."""
        keys = {(each.part, each.fault, each.begun_ns) for each in open_faults}
        for key in keys - self._seen.keys():
            part, fault, begun_ns = key
            self._seen[key] = FaultNow(
                part=part[:200], fault=fault[:200], begun_ns=min(max(0, begun_ns), now_ns), ended_ns=0
            )
        for key, each in self._seen.items():
            if key not in keys and not each.ended_ns:
                self._seen[key] = each.model_copy(update={"ended_ns": now_ns})
        return self._found()

    def sources(self) -> list[DataSource]:
        """The journal, if it cannot be read."""
        return [DataSource(name="journal of faults", at_ns=0, problem=self._problem)] * bool(self._problem)

    def _found(self) -> list[FaultNow]:
        kept = sorted(self._seen.items(), key=lambda each: each[1].begun_ns)[-MOST_FAULTS:]
        self._seen = dict(kept)
        return [fault for _, fault in kept]


class LiveGates:
    """The verdicts of the run itself or, without any, of the newest run beside it that is being judged."""

    def __init__(self, run: Path, begun_ns: int) -> None:
        self._run = run
        self._begun_ns = begun_ns
        self._read: tuple[Path, int] | None = None
        self._problem = ""
        self.run = ""
        """The folder whose verdicts are shown; empty without any."""
        self._gates: dict[str, GateNow] = {}

    def figures(self, now_ns: int) -> list[GateNow]:
        """The verdicts in order of gate, each with the moment at which it was first seen."""
        newest = self._newest()
        if newest is not None and newest != self._read:
            self._read = newest
            path = newest[0]
            if self.run != path.parent.name:
                self.run, self._gates = path.parent.name, {}
            try:
                self.after(verdict.read(path), now_ns)
                self._problem = ""
            except InputError as problem:
                self._problem = one_line(str(problem))[:LONGEST]
        return list(self._gates.values())

    def after(self, verdicts: Verdicts, now_ns: int) -> None:
        """Take verdicts over; a gate whose outcome stays keeps its moment."""
        turned: dict[str, GateNow] = {}
        for each in verdicts.verdicts[:MOST_GATES]:
            before = self._gates.get(each.gate)
            outcome = each.judgement.outcome
            same = before is not None and before.outcome == outcome
            turned[each.gate] = GateNow(
                gate=each.gate,
                heading=each.heading[:LONGEST],
                outcome=outcome,
                why=each.judgement.why[:LONGEST],
                waived=each.waived is not None,
                turned_ns=before.turned_ns if before is not None and same else now_ns,
            )
        self._gates = turned

    def sources(self) -> list[DataSource]:
        """The verdicts, if they cannot be read."""
        return [DataSource(name="verdicts", at_ns=0, problem=self._problem)] * bool(self._problem)

    def _newest(self) -> tuple[Path, int] | None:
        """The verdicts to show, and when they were written."""
        own = self._written(self._run)
        if own is not None:
            return own
        try:
            with os.scandir(self._run.parent) as entries:
                names = sorted((entry.name for entry in islice(entries, 100_000)), reverse=True)
        except OSError:
            return None
        found = [self._written(self._run.parent / name) for name in names[:MOST_RUNS]]
        others = [each for each in found if each is not None and each[1] >= self._begun_ns]
        return max(others, key=lambda each: each[1], default=None)

    @staticmethod
    def _written(run: Path) -> tuple[Path, int] | None:
        path = run / "verdicts.json"
        try:
            return path, path.stat().st_mtime_ns
        except OSError:
            return None
