"""What a first pass over the samples of a run shows: how many there are, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.sample_stream import WHEN, SampleBlock, SampleStream
from calorimeter.core.statistics import Ints

APART = ("warm_up", "clean_up")
"""Phases that are not part of the load."""

_NEVER = 2**63 - 1


@dataclass(slots=True)
class SampleExtent:
    """When requests were due and ended (ns since the epoch), and how many succeeded.

    `end_ns` is the last answer. `quickest_ns` and `slowest_ns` are the extremes of the response times of
    successes. `phases` has the first and the last request that was due in each phase, by its name, in the
    order in which phases were met. `later` has the requests of `APART` that were due after the load's last.
    """

    count: int = 0
    ok: int = 0
    dropped: int = 0
    first_ns: int = _NEVER
    last_ns: int = 0
    end_ns: int = 0
    quickest_ns: int = _NEVER
    slowest_ns: int = 0
    phases: dict[str, tuple[int, int]] = field(default_factory=dict)
    later: dict[str, Ints] = field(default_factory=lambda: dict.fromkeys(APART, np.zeros(0, np.int64)))

    def load(self) -> tuple[int, int] | None:
        """The first and the last request that was due in the load's own phases; None if none was."""
        own = [span for name, span in self.phases.items() if name not in APART]
        return (min(first for first, _ in own), max(last for _, last in own)) if own else None

    def _add(self, block: SampleBlock, phases: list[str]) -> None:
        due, ok = block.due_ns, block.ok
        self.count += len(block)
        self.ok += int(ok.sum())
        self.dropped += int(block.dropped.sum())
        self.first_ns = min(self.first_ns, int(due.min()))
        self.last_ns = max(self.last_ns, int(due.max()))
        self.end_ns = max(self.end_ns, int((due + block.response_ns).max()))
        if ok.any():
            taken = block.response_ns[ok]
            self.quickest_ns = min(self.quickest_ns, int(taken.min()))
            self.slowest_ns = max(self.slowest_ns, int(taken.max()))
        for code in np.flatnonzero(np.bincount(block.phase)).tolist():
            self._add_phase(phases[code], due[block.phase == code])
        if (load := self.load()) is not None:
            self.later = {name: own[own > load[1]] for name, own in self.later.items()}

    def _add_phase(self, name: str, due: Ints) -> None:
        first, last = self.phases.get(name, (_NEVER, 0))
        self.phases[name] = min(first, int(due.min())), max(last, int(due.max()))
        if name in self.later:
            self.later[name] = np.concatenate([self.later[name], due])


def extent_of(samples: SampleStream) -> SampleExtent:
    """Read all samples once. Raises `InputError` as `SampleStream.blocks` does."""
    found = SampleExtent()
    for block in samples.blocks(WHEN):
        found._add(block, samples.phases)
    if not found.count:
        raise InputError(samples.where, "holds no rows, but claims some")
    return found
