"""Stacks while engines and APIs crash: each accepted one is complete, failed, or named as lost (L3)."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.clients.stack_records import StackRecord, unheard
from calorimeter.gates.engines.backlog import FEWEST_STACKS
from calorimeter.gates.engines.struck_engines import ProcessSizes, listed, why_not_as_many
from calorimeter.gates.request_path.completeness import (
    JoinCompleteness,
    completeness_figures,
    why_incomplete,
)


class Crash(Model):
    """One crash. `held` are the requests of which the crashed engine had unfinished work; empty for an API.

    Of an engine, `engines` names the consumers that went away, and `sizes` maps hosts to the number of
    consumers of each of their engine processes. Ambiguous work counts as unfinished. `at_ns` is when the
    part crashed and `back_ns` when it had returned (0: it did not), ns since the epoch. `happened` is
    whether the part was gone after the command that kills it had ended, None if that cannot be determined.
    """

    part: str
    engine: bool
    engines: tuple[str, ...] = ()
    sizes: ProcessSizes = {}
    at_ns: int
    back_ns: int
    held: tuple[str, ...] = ()
    happened: bool | None = None

    @property
    def named(self) -> str:
        """The part with the engine process that crashed, for a sentence."""
        return f"{self.part} ({listed(self.engines)})" if self.engines else self.part

    def why_not_one(self) -> str | None:
        """Why not exactly one engine crashed; None if it did, if none did, and of an API."""
        return why_not_as_many("kill", (self.part,), self.engines, self.sizes) if self.engines else None


class StacksDuringCrashes(Model):
    """Evidence of L3: stacks that were requested while parts crashed and returned.

    `followed` counts the answered creates that could be joined with an engine.
    """

    entries: tuple[StackRecord, ...]
    crashes: tuple[Crash, ...]
    settled_s: float
    followed: JoinCompleteness | None = None
    incomplete: str | None = None


def all_accounted_for(evidence: StacksDuringCrashes) -> Judgement:
    """L3: whether every accepted stack has a final state, or is named as lost with the engine that held it.

    Heat acknowledges work on receipt, so an engine that crashes takes the work that it had accepted with
    it, and such a stack stays in progress. It is lost by name if the trace shows that a crashed engine
    had unfinished work of the stack's own request, and the stack was not final by then. Every other stack
    without a final state is unaccounted for, and so are more lost stacks than the engine had work of.
    """
    accepted = [e for e in evidence.entries if e.accepted]
    taken = [e for e in evidence.entries if e.taken]
    open_ = [e for e in taken if not e.final]
    lost = {e.name: crash for e in open_ if (crash := _holder(e, evidence.crashes))}
    unaccounted = [e for e in open_ if e.name not in lost]
    figures = _figures(evidence, lost=len(lost), unaccounted=len(unaccounted))
    gone = [crash.named for crash in evidence.crashes if not crash.back_ns]
    if open_ and evidence.incomplete:
        return inconclusive(f"{len(open_)} stacks are not final, and {evidence.incomplete}", **figures)
    if problem := next(_unclear(evidence), None):
        return inconclusive(problem, **figures)
    wrong = [
        *(f"{part} did not return" for part in gone),
        *(f"{e} is {e.outcome or 'not listed'}, and no crashed engine held it" for e in unaccounted),
        *_too_many(lost, evidence),
    ]
    if wrong:
        return failed(f"{len(accepted)} stacks were accepted, but {wrong[0]}", wrong, **figures)
    if len(accepted) < FEWEST_STACKS or not any(crash.engine for crash in evidence.crashes):
        return inconclusive(
            f"{len(accepted)} stacks were accepted and {len(evidence.crashes)} parts crashed: at least "
            f"{FEWEST_STACKS} stacks and one crashed engine are needed",
            **figures,
        )
    if alive := [crash.part for crash in evidence.crashes if crash.happened is False]:
        return inconclusive(
            f"the fault did not happen: {', '.join(alive)} {'was' if len(alive) == 1 else 'were'} still "
            "running after the command for 'kill' had succeeded",
            **figures,
        )
    losses = "".join(f"; {name} was lost with {crash.named}" for name, crash in lost.items())
    return passed(
        f"while {', '.join(c.named for c in evidence.crashes)} crashed and returned, {len(accepted)} "
        f"stacks were accepted{unheard(taken)}: {figures['complete']} complete, "
        f"{figures['failed']} failed, {len(lost)} lost by name{losses}",
        **figures,
    )


def _unclear(evidence: StacksDuringCrashes) -> Iterator[str]:
    """Why it cannot be determined which engine lost a stack."""
    problem = why_incomplete(evidence.followed)
    if problem and all(crash.back_ns for crash in evidence.crashes):
        yield problem
    yield from filter(None, (crash.why_not_one() for crash in evidence.crashes))


def _figures(evidence: StacksDuringCrashes, *, lost: int, unaccounted: int) -> dict[str, Figure]:
    accepted = [e for e in evidence.entries if e.accepted]
    taken = [e for e in evidence.entries if e.taken]
    figures: dict[str, Figure] = {
        "asked": len(evidence.entries),
        "accepted": len(accepted),
        "accepted_by_cfn": sum(e.create.api == "cfn" for e in accepted),
        "unknown_to_the_client": len(taken) - len(accepted),
        "complete": sum(e.outcome == "CREATE_COMPLETE" for e in taken),
        "failed": sum(e.outcome == "CREATE_FAILED" for e in taken),
        "lost_by_name": lost,
        "unaccounted": unaccounted,
    }
    for crash in evidence.crashes:
        if crash.engine:
            figures[f"in_flight_at_{crash.part}"] = _in_flight(crash, evidence.entries)
    for crash in evidence.crashes:
        figures |= _open_creates(crash, evidence.entries)
    return figures | completeness_figures(evidence.followed)


def _holder(record: StackRecord, crashes: tuple[Crash, ...]) -> Crash | None:
    return next((crash for crash in crashes if _held(crash, record)), None)


def _held(crash: Crash, record: StackRecord) -> bool:
    """Whether a crashed engine had unfinished work of this stack, which was not final by then."""
    ended_ns = record.states[-1].at_ns if record.final else None
    return record.create.request_id in crash.held and (ended_ns is None or ended_ns > crash.at_ns)


def _in_flight(crash: Crash, records: tuple[StackRecord, ...]) -> int:
    """Number of requests for stacks that were not final of which a crashed engine had work."""
    return len({record.create.request_id for record in records if _held(crash, record)})


def _open_creates(crash: Crash, records: tuple[StackRecord, ...]) -> dict[str, Figure]:
    """The creates open at all APIs together when an API crashed, and how many of them failed.

    The API of a create that was cut off is unknown.
    """
    if crash.engine:
        return {}
    open_ = [e.create for e in records if e.create.sent_ns <= crash.at_ns < e.create.done_ns]
    return {
        f"creates_open_as_{crash.part}_crashed": len(open_),
        f"creates_failed_as_{crash.part}_crashed": sum(not create.ok for create in open_),
    }


def _too_many(lost: dict[str, Crash], evidence: StacksDuringCrashes) -> Iterator[str]:
    """Engines with which more stacks were lost than they had work of."""
    for crash in evidence.crashes:
        names = [name for name, holder in lost.items() if holder is crash]
        most = _in_flight(crash, evidence.entries)
        if len(names) > most:
            yield (
                f"{len(names)} stacks were lost with {crash.named}, which had {most} in flight: "
                f"{', '.join(names)}"
            )
