"""What became of the requests of each operation that a scenario has objectives for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import sample_stream
from calorimeter.core.recorded.measured_part import Span, measured_part
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_extent import extent_of
from calorimeter.core.recorded.sample_stream import TAKEN, SampleStream
from calorimeter.core.statistics import DurationRanks, Ints
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.service_level.objectives import PERCENTS, ServedOperation


@dataclass(frozen=True, slots=True)
class CountedSamples:
    """The samples of a run, and its measured part (None: no request was due in one)."""

    samples: SampleStream
    part: Span | None

    def sent(self) -> int:
        """How many requests of the measured part were sent."""
        blocks = self.samples.blocks(TAKEN) if self.part else ()
        return sum(
            int((self.part.holds(each.due_ns) & ~each.dropped).sum()) for each in blocks if self.part
        )

    def served(self, operations: Iterable[str]) -> tuple[ServedOperation, ...]:
        """What became of the requests due in the measured part, for each operation named (`*`: all)."""
        part, kinds = self.part or Span(0, -1), self.samples.kinds
        counts, taken = np.zeros((2, len(kinds)), dtype=np.int64), DurationRanks(len(kinds))
        for block in self.samples.blocks(TAKEN):
            chosen = block.rows(part.holds(block.due_ns))
            ok = chosen.rows(chosen.ok)
            counts[0] += np.bincount(chosen.kind, minlength=len(kinds))
            counts[1] += np.bincount(chosen.kind[chosen.dropped], minlength=len(kinds))
            taken.count(ok.response_ns, ok.kind)
        asked = [(name, self._codes(name)) for name in operations]
        taken.want([codes for _, codes in asked], PERCENTS)
        for block in self.samples.blocks(TAKEN):
            ok = block.rows(block.ok & part.holds(block.due_ns))
            taken.gather(ok.response_ns, ok.kind)
        return tuple(_served(name, codes, counts, taken) for name, codes in asked)

    def _codes(self, name: str) -> range:
        if name == "*":
            return range(len(self.samples.kinds))
        kind = name.replace(".", " ", 1)
        code = self.samples.kinds.index(kind) if kind in self.samples.kinds else 0
        return range(code, code + (kind in self.samples.kinds))


def read(run: RunDir) -> CountedSamples:
    """The samples of a run, and its measured part.

    Raises `EvidenceUnavailable` if there are no samples, or they cannot be used.
    """
    try:
        samples = sample_stream.stream(run)
        extent = extent_of(samples) if samples else None
    except InputError as problem:
        raise EvidenceUnavailable(
            problem.where, "; ".join(filter(None, (problem.given, problem.valid)))
        ) from problem
    if samples is None or extent is None:
        raise EvidenceUnavailable(str(run.path), "holds no samples: give a run of `calorimeter run`")
    return CountedSamples(samples, measured_part(extent, run.about))


def _served(name: str, codes: range, counts: Ints, taken: DurationRanks) -> ServedOperation:
    requests, dropped = counts[:, codes.start : codes.stop].sum(axis=1).tolist()
    ok = taken.total(codes)
    # Exact percentiles, however few: the judgement decides whether they suffice.
    found = taken.percentiles([codes], PERCENTS, however_few=True)[0] if ok else ()
    return ServedOperation(
        operation=name,
        requests=requests,
        ok=ok,
        dropped=dropped,
        response_ms={f"p{p:g}": round(float(ns) / 1e6, 6) for p, ns in zip(PERCENTS, found, strict=False)},
    )
