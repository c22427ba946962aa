"""The backlog of one burst of stacks: the record of the burst, and whether it drains (E10)."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.engines.equal_shares import QueueShares

FEWEST_STACKS = 10
"""Stacks below which a burst proves too little."""


class QueueDepth(Model):
    """Messages waiting in each of the engines' queues at `at_ns` (ns since the epoch)."""

    at_ns: int
    engine: int
    engine_worker: int


class StackBurst(Model):
    """Evidence of E3, E10, L1 and L2: one burst of stacks, created and deleted.

    The experiment waited at most `waited_s` for final states: the stacks' own timeout, after which Heat
    itself fails them. `left` names the stacks still listed after the deletes, `waiting` counts the messages
    in the engines' queues then. `worker` are the shares of the queue `engine_worker`.
    """

    entries: tuple[StackRecord, ...]
    resources: int
    waited_s: float
    depths: tuple[QueueDepth, ...] = ()
    left: tuple[str, ...] = ()
    waiting: int = 0
    worker: QueueShares | None = None

    @property
    def taken(self) -> list[StackRecord]:
        """The stacks that Heat took on."""
        return [e for e in self.entries if e.taken]

    def create_counts(self) -> dict[str, Figure]:
        """How many creates were accepted, refused or not answered. A listed stack was taken on."""
        accepted = sum(e.accepted for e in self.entries)
        never = [e.create for e in self.entries if not e.taken and e.stack_id is None]
        return {
            "accepted": accepted,
            "unknown_to_the_client": len(self.taken) - accepted,
            "listed_late": sum(not e.taken and e.stack_id is not None for e in self.entries),
            "refused": sum(create.status != 0 for create in never),
            "unanswered": sum(create.status == 0 for create in never),
        }

    def exceptions(self) -> str:
        """` (2 of 42 creates were refused; …)`: the creates that were not accepted; empty if none."""
        words = {
            "unknown_to_the_client": "made a stack although the client got no success",
            "listed_late": "got no success, and their stack was first listed during the deletes",
            "refused": "were refused",
            "unanswered": "got no answer and made no stack",
        }
        counts = self.create_counts()
        of = f"of {len(self.entries)} creates"
        parts = [f"{counts[key]} {of} {text}" for key, text in words.items() if counts[key]]
        return f" ({'; '.join(parts)})" if parts else ""

    def why_too_small(self) -> str | None:
        """Why the burst does not count: too few stacks, or fewer than half of those requested."""
        untaken = [e.create for e in self.entries if not e.taken]
        if len(self.taken) >= FEWEST_STACKS and 2 * len(untaken) <= len(self.entries):
            return None
        first = f"; the first that was not created: {untaken[0]}" if untaken else ""
        return (
            f"{len(self.taken)} of {len(self.entries)} stacks were created: at least {FEWEST_STACKS} and "
            f"half of those requested are needed{first}"
        )


def backlog_drains(evidence: StackBurst) -> Judgement:
    """E10: whether the work of a burst ends, and how fast.

    Heat acknowledges a message on receipt, so queues are empty even while engines are overloaded: the
    backlog is the stacks that are taken on and not final. It must drain within the stacks' own timeout.
    States are polled, so a stack may have been final before it was seen final: the peak is an upper
    bound.
    """
    taken = evidence.taken
    too_small = evidence.why_too_small()
    if too_small and not taken:
        return inconclusive(too_small)
    ended = [e for e in taken if e.final]
    begun_ns, burst_ns = min(e.create.sent_ns for e in taken), max(e.create.done_ns for e in taken)
    last_ns = max((e.states[-1].at_ns for e in ended), default=burst_ns)
    ended_per_s = len(ended) / ((last_ns - begun_ns) / 1e9)
    figures: dict[str, Figure] = {
        "stacks": len(taken),
        **evidence.create_counts(),
        "resources": len(taken) * evidence.resources,
        "burst_s": round((burst_ns - begun_ns) / 1e9, 2),
        "peak_backlog_stacks": _peak(taken),
        "peak_waiting_engine": max((d.engine for d in evidence.depths), default=None),
        "peak_waiting_engine_worker": max((d.engine_worker for d in evidence.depths), default=None),
        "drained_after_burst_s": round((last_ns - burst_ns) / 1e9, 2),
        "stacks_per_s": round(ended_per_s, 2),
        "resources_per_s": round(ended_per_s * evidence.resources, 1),
    }
    if stuck := [e for e in taken if not e.final]:
        return failed(
            f"{len(stuck)} of {len(taken)} stacks of a burst are still in progress after "
            f"{evidence.waited_s:g} s",
            [f"{e} is {e.outcome or 'not listed'}" for e in stuck],
            **figures,
        )
    if too_small:
        return inconclusive(too_small, **figures)
    return passed(
        f"a burst of {len(taken)} stacks{evidence.exceptions()}, created in {figures['burst_s']} s, had at "
        f"most {figures['peak_backlog_stacks']} stacks in progress at a time and drained "
        f"{figures['drained_after_burst_s']} s after its last create, at "
        f"{figures['resources_per_s']} resources per second",
        **figures,
    )


def _peak(records: Sequence[StackRecord]) -> int:
    """The most stacks in progress at one time; a stack counts from the moment its create was sent."""
    steps = [(e.create.sent_ns, 1) for e in records]
    steps += [(e.states[-1].at_ns, -1) for e in records if e.final]
    level = peak = 0
    # At equal times creates count before ends, so that the peak is never below the true one.
    for _, step in sorted(steps, key=lambda timed: (timed[0], -timed[1])):
        level += step
        peak = max(peak, level)
    return peak
