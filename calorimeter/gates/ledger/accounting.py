"""The ledger while engines and APIs crash: every accepted stack complete, failed, or named as lost."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.ledger.stack_ledger import FEWEST, Entry
from calorimeter.gates.request_path.followed import Followed, shortfall
from calorimeter.gates.request_path.followed import figures as joined


class Crash(Model):
    """One crash. `held` are the requests of which the crashed engine had work that it had not finished.

    Where that cannot be told they count as unfinished. Empty for an API. Times are ns since the epoch: the
    crash, and when the part was back (0: it was not). `happened` is whether the part was gone once the
    command that kills it had ended; None where that cannot be seen.
    """

    part: str
    engine: bool
    at_ns: int
    back_ns: int
    held: tuple[str, ...] = ()
    happened: bool | None = None


class Accounts(Model):
    """Evidence of L3: stacks that were asked for while parts crashed and returned.

    `followed` tells how many of the answered creates could be joined with an engine.
    """

    entries: tuple[Entry, ...]
    crashes: tuple[Crash, ...]
    settled_s: float
    followed: Followed | None = None
    incomplete: str | None = None


def all_accounted_for(evidence: Accounts) -> Judgement:
    """Whether every accepted stack has an end, or is named as lost with the engine that held it.

    Heat acknowledges work on receipt, so an engine that crashes takes what it had accepted with it, and
    such a stack stays in progress. It counts as lost by name where the trace shows that a crashed engine
    had work of its own request in hand that it had not finished, and it had no end by then. Everything
    else without an end is unaccounted for, and so is what is more than the engine had in hand.
    """
    accepted = [e for e in evidence.entries if e.accepted]
    taken = [e for e in evidence.entries if e.taken]
    open_ = [e for e in taken if not e.final]
    lost = {e.name: crash for e in open_ if (crash := _holder(e, evidence.crashes))}
    unaccounted = [e for e in open_ if e.name not in lost]
    figures: dict[str, Figure] = {
        "asked": len(evidence.entries),
        "accepted": len(accepted),
        "accepted_by_cfn": sum(e.create.api == "cfn" for e in accepted),
        "unknown_to_the_client": len(taken) - len(accepted),
        "complete": sum(e.outcome == "CREATE_COMPLETE" for e in taken),
        "failed": sum(e.outcome == "CREATE_FAILED" for e in taken),
        "lost_by_name": len(lost),
        "unaccounted": len(unaccounted),
        **{f"in_flight_at_{c.part}": _in_flight(c, evidence.entries) for c in evidence.crashes if c.engine},
    }
    for crash in evidence.crashes:
        figures |= _struck(crash, evidence.entries)
    figures |= joined(evidence.followed)
    gone = [crash.part for crash in evidence.crashes if not crash.back_ns]
    if open_ and evidence.incomplete:
        return inconclusive(f"{len(open_)} stacks have no end, and {evidence.incomplete}", **figures)
    if (problem := shortfall(evidence.followed)) and not gone:
        return inconclusive(problem, **figures)
    too_many = list(_too_many(lost, evidence))
    if unaccounted or gone or too_many:
        wrong = [f"{part} did not come back" for part in gone]
        wrong += [
            f"{e.name} ({e.create.request_id}) is {e.outcome or 'not listed'}, and no crashed engine "
            "held it"
            for e in unaccounted
        ]
        wrong += too_many
        return failed(f"of {len(accepted)} accepted stacks, {wrong[0]}", wrong, **figures)
    if len(accepted) < FEWEST or not any(crash.engine for crash in evidence.crashes):
        return inconclusive(
            f"{len(accepted)} stacks were accepted and {len(evidence.crashes)} parts crashed: too few",
            **figures,
        )
    if alive := [crash.part for crash in evidence.crashes if crash.happened is False]:
        return inconclusive(
            f"the fault did not happen: {', '.join(alive)} {'was' if len(alive) == 1 else 'were'} there as "
            "before after the command for 'kill' had ended well",
            **figures,
        )
    told = "".join(f"; {name} was lost with {crash.part}" for name, crash in lost.items())
    more = len(taken) - len(accepted)
    unheard = f" and {more} more created whose client got no answer" if more else ""
    return passed(
        f"while {', '.join(c.part for c in evidence.crashes)} crashed and returned, {len(accepted)} stacks "
        f"were accepted{unheard}: {figures['complete']} complete, {figures['failed']} failed, {len(lost)} "
        f"lost by name{told}",
        **figures,
    )


def _holder(entry: Entry, crashes: tuple[Crash, ...]) -> Crash | None:
    return next((crash for crash in crashes if _held(crash, entry)), None)


def _held(crash: Crash, entry: Entry) -> bool:
    """Whether a crashed engine had work of this stack in hand, which had no end by then."""
    ended = entry.states[-1].at_ns if entry.final else None
    return entry.create.request_id in crash.held and (ended is None or ended > crash.at_ns)


def _in_flight(crash: Crash, entries: tuple[Entry, ...]) -> int:
    """How many requests for stacks without an end a crashed engine had in hand."""
    return len({entry.create.request_id for entry in entries if _held(crash, entry)})


def _struck(crash: Crash, entries: tuple[Entry, ...]) -> dict[str, Figure]:
    """How many creates were open, at all APIs together, as an API crashed, and how many of them failed.

    Which API a create was at is not known of those that were cut off.
    """
    if crash.engine:
        return {}
    open_ = [e.create for e in entries if e.create.sent_ns <= crash.at_ns < e.create.done_ns]
    return {
        f"creates_open_as_{crash.part}_crashed": len(open_),
        f"creates_failed_as_{crash.part}_crashed": sum(not create.ok for create in open_),
    }


def _too_many(lost: dict[str, Crash], evidence: Accounts) -> Iterator[str]:
    """Engines with which more stacks were lost than they had in hand."""
    for crash in evidence.crashes:
        names = [name for name, holder in lost.items() if holder is crash]
        most = _in_flight(crash, evidence.entries)
        if len(names) > most:
            yield (
                f"{len(names)} stacks were lost with {crash.part}, which had {most} in flight: "
                f"{', '.join(names)}"
            )
