"""The ledger: what became of every stack that Heat accepted."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.shares import Shares

FEWEST = 10
"""Accepted stacks below which a ledger says too little."""


class State(Model):
    """A status that a stack was first seen in, at `at_ns` (ns since the epoch)."""

    status: str
    at_ns: int

    @property
    def final(self) -> bool:
        """Whether it is no longer in progress."""
        return not self.status.endswith("_IN_PROGRESS")


class Read(Model):
    """A stack's output as it was read back: `as_made` where it has the form that the template asks for."""

    call: HeatCall
    as_made: bool
    said: str


class Entry(Model):
    """One stack: its create, the statuses it was seen in until its delete, a reading, its delete.

    `stack_id` is None where the create was not accepted and no stack of that name was found; with an id and
    without `states` it was listed only as others were deleted. `gone_ns` is when the list no longer had it,
    None where it still did.
    """

    name: str
    create: HeatCall
    stack_id: str | None = None
    states: tuple[State, ...] = ()
    read: Read | None = None
    delete: HeatCall | None = None
    gone_ns: int | None = None

    @property
    def accepted(self) -> bool:
        """Whether Heat said that it would make it."""
        return self.create.ok

    @property
    def taken(self) -> bool:
        """Whether Heat took it on: it said so, or it lists the stack, whatever the client was told."""
        return self.accepted or bool(self.states)

    @property
    def outcome(self) -> str:
        """Its last status before the delete; empty where it was never listed."""
        return self.states[-1].status if self.states else ""

    @property
    def final(self) -> bool:
        """Whether it came to an end."""
        return bool(self.states) and self.states[-1].final


class Depth(Model):
    """Messages that wait in both queues, at `at_ns` (ns since the epoch)."""

    at_ns: int
    engine: int
    engine_worker: int


class Ledger(Model):
    """Evidence of E3, E10, L1 and L2: one burst of stacks, made and deleted.

    `waited_s` is how long their end was waited for: the stacks' own timeout, beyond which Heat itself fails
    them. `left` names what was still listed after the deletes; `waiting` counts messages in the queues
    then.
    """

    entries: tuple[Entry, ...]
    resources: int
    waited_s: float
    depths: tuple[Depth, ...] = ()
    left: tuple[str, ...] = ()
    waiting: int = 0
    worker: Shares | None = None


def all_final(evidence: Ledger) -> Judgement:
    """Whether every stack that Heat took on came to exactly one end, complete and readable.

    The templates cannot fail by themselves, so a stack that failed is a fault of the deployment. What is
    read back passes through the encryption of another engine than the one that wrote it.
    """
    taken = [e for e in evidence.entries if e.taken]
    complete = [e for e in taken if e.outcome == "CREATE_COMPLETE"]
    figures: dict[str, Figure] = {
        "creates": len(evidence.entries),
        **_creates(evidence),
        "complete": len(complete),
        "failed": sum(e.outcome == "CREATE_FAILED" for e in taken),
        "not_final": sum(not e.final for e in taken),
        "read_back": sum(e.read is not None for e in taken),
    }
    wrong = list(_ends(evidence))
    if wrong:
        return failed(f"{len(wrong)} findings about {len(taken)} stacks: {wrong[0]}", wrong, **figures)
    if doubt := _no_burst(evidence):
        return inconclusive(doubt, **figures)
    return passed(
        f"{len(taken)} stacks{_apart(evidence)} became complete, each once, and every one that was read "
        "back by another request was as made",
        **figures,
    )


def _creates(evidence: Ledger) -> dict[str, Figure]:
    """What became of the creates: a stack that is listed was taken on, whatever its client heard."""
    accepted = sum(e.accepted for e in evidence.entries)
    never = [e.create for e in evidence.entries if not e.taken and e.stack_id is None]
    return {
        "accepted": accepted,
        "unknown_to_the_client": sum(e.taken for e in evidence.entries) - accepted,
        "listed_late": sum(not e.taken and e.stack_id is not None for e in evidence.entries),
        "refused": sum(create.status != 0 for create in never),
        "unanswered": sum(create.status == 0 for create in never),
    }


def _apart(evidence: Ledger) -> str:
    """` (n of m creates were refused, …)` for a sentence: those that were not just accepted, if any."""
    counts = _creates(evidence)
    said = {
        "unknown_to_the_client": "were made though their client was not told so",
        "listed_late": "were not answered well, and listed only as others were deleted",
        "refused": "were refused",
        "unanswered": "were not answered, and no stack came of them",
    }
    parts = [
        f"{counts[key]} of {len(evidence.entries)} {words}" for key, words in said.items() if counts[key]
    ]
    return f" ({'; '.join(parts)})" if parts else ""


def _no_burst(evidence: Ledger) -> str | None:
    """Why a burst was none: few stacks were made, or less than half of those that were asked for."""
    creates = len(evidence.entries)
    untaken = [e.create for e in evidence.entries if not e.taken]
    taken = creates - len(untaken)
    if taken >= FEWEST and 2 * len(untaken) <= creates:
        return None
    first = f" (the first that was not: {untaken[0]})" if untaken else ""
    return f"{taken} of {creates} stacks were made: too few{first}"


def _ends(evidence: Ledger) -> Iterator[str]:
    for entry in evidence.entries:
        who = f"{entry.name} ({entry.create.request_id})"
        if not entry.taken:
            continue
        if not entry.states:
            yield f"{who} was accepted and never listed"
        elif not entry.final:
            yield f"{who} is {entry.outcome} after {evidence.waited_s:g} s"
        elif entry.outcome != "CREATE_COMPLETE":
            yield f"{who} became {entry.outcome}, though its template cannot fail"
        elif ends := [s.status for s in entry.states if s.final][:-1]:
            yield f"{who} had another end before: {', '.join(ends)}"
        elif entry.read is not None and entry.read.call.ok and not entry.read.as_made:
            yield (
                f"{who}: {entry.read.call.engine or 'an engine'} gave its output as {entry.read.said} "
                "(do all engines have the same auth_encryption_key?)"
            )
        elif entry.read is not None and not entry.read.call.ok:
            yield f"{who} could not be read back: {entry.read.call}"


def nothing_left(evidence: Ledger) -> Judgement:
    """Whether deletes left nothing: no stack and no message in the engines' queues.

    A delete that was not answered in time is unknown, not failed: it is counted, asked for again, and
    judged by what it leaves.
    """
    deleted = [e for e in evidence.entries if e.delete is not None]
    accepted = [e for e in deleted if e.delete is not None and e.delete.ok]
    last = max((e.gone_ns for e in deleted if e.gone_ns), default=0)
    first = min((e.delete.sent_ns for e in deleted if e.delete), default=last)
    figures: dict[str, Figure] = {
        "deletes": len(deleted),
        "accepted": len(accepted),
        "unanswered": len(deleted) - len(accepted),
        "left": len(evidence.left),
        "messages_left": evidence.waiting,
        "all_gone_s": round((last - first) / 1e9, 2),
    }
    wrong = [f"{name} is still listed" for name in evidence.left]
    if evidence.waiting:
        wrong.append(f"{evidence.waiting} messages wait in the engines' queues")
    if wrong:
        return failed(f"after {len(deleted)} deletes {wrong[0]}", wrong, **figures)
    if len(deleted) < FEWEST:
        return inconclusive(f"{len(deleted)} stacks were deleted, too few", **figures)
    return passed(
        f"{len(deleted)} deletes left no stack and no message behind, {figures['all_gone_s']} s after the "
        "first of them",
        **figures,
    )


def backlog_drains(evidence: Ledger) -> Judgement:
    """Whether the work of a burst ends, and how fast.

    Heat acknowledges a message on receipt, so queues look empty while engines drown: the backlog is the
    stacks that are taken on and not final. It must be gone within the stacks' own timeout. When a stack was
    final is known as well as it was looked for, so what was open at a time is an upper bound.
    """
    taken = [e for e in evidence.entries if e.taken]
    doubt = _no_burst(evidence)
    if doubt and not taken:
        return inconclusive(doubt)
    ended = [e for e in taken if e.final]
    begun, burst = min(e.create.sent_ns for e in taken), max(e.create.done_ns for e in taken)
    last = max((e.states[-1].at_ns for e in ended), default=burst)
    figures: dict[str, Figure] = {
        "stacks": len(taken),
        **_creates(evidence),
        "resources": len(taken) * evidence.resources,
        "burst_s": round((burst - begun) / 1e9, 2),
        "peak_backlog_stacks": _peak(taken),
        "peak_waiting_engine": max((d.engine for d in evidence.depths), default=None),
        "peak_waiting_engine_worker": max((d.engine_worker for d in evidence.depths), default=None),
        "drained_after_burst_s": round((last - burst) / 1e9, 2),
        "stacks_per_s": round(len(ended) / ((last - begun) / 1e9), 2),
        "resources_per_s": round(len(ended) * evidence.resources / ((last - begun) / 1e9), 1),
    }
    if stuck := [e for e in taken if not e.final]:
        return failed(
            f"{len(stuck)} of {len(taken)} stacks of a burst are still in progress after "
            f"{evidence.waited_s:g} s",
            [f"{e.name} ({e.create.request_id}) is {e.outcome or 'not listed'}" for e in stuck],
            **figures,
        )
    if doubt:
        return inconclusive(doubt, **figures)
    return passed(
        f"a burst of {len(taken)} stacks{_apart(evidence)} in {figures['burst_s']} s had at most "
        f"{figures['peak_backlog_stacks']} open at a time and was done "
        f"{figures['drained_after_burst_s']} s after its last create: "
        f"{figures['resources_per_s']} resources a second",
        **figures,
    )


def _peak(entries: list[Entry]) -> int:
    """The most stacks that may have been taken on and not final at one time, from the asking on."""
    steps = [(e.create.sent_ns, 1) for e in entries]
    steps += [(e.states[-1].at_ns, -1) for e in entries if e.final]
    level = peak = 0
    # Of one moment those that begin first: what was open is never more than is said.
    for _, step in sorted(steps, key=lambda timed: (timed[0], -timed[1])):
        level += step
        peak = max(peak, level)
    return peak
