"""What calls lose with one engine that stops or crashes, and what it gets when it joins again."""

from __future__ import annotations

from itertools import chain

from calorimeter.core.verdict import Judgement, Outcome, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import (
    EngineTrial,
    counts,
    doubts,
    not_attributed,
    noticed_s,
    unattributed,
    unbroken,
    unwell,
    wrong_anyway,
)
from calorimeter.gates.engines.service_return import Return
from calorimeter.gates.engines.shares import equal_shares


def joins(evidence: EngineTrial) -> Judgement:
    """E5: whether an engine that joins gets its share, and how soon."""
    figures = counts(evidence)
    # A call may be among those that a broken trace lacks.
    lacking = evidence.incomplete if evidence.healed_ns and not evidence.first_ns else None
    if why := unbroken(evidence) or lacking:
        return inconclusive(why, **figures)
    if not evidence.healed_ns or not evidence.first_ns:
        got = "got no call" if evidence.healed_ns else "did not consume again"
        return failed(f"{evidence.what} was started and {got}", (), **figures)
    figures["first_call_s"] = round((evidence.first_ns - evidence.healing_ns) / 1e9, 2)
    if evidence.after is None:
        return inconclusive("no shares were counted after it had joined", **figures)
    share = equal_shares(evidence.after)
    figures |= share.figures
    if share.figures.get("consumers") != evidence.consumers:
        return failed(
            f"after the start there are {share.figures.get('consumers')} consumers instead of "
            f"{evidence.consumers}",
            (),
            **figures,
        )
    why = share.why
    if share.outcome is Outcome.PASS:
        first = f"{evidence.what} had its first call {figures['first_call_s']} s after its start began"
        why = f"{first}, and its equal share from then on: {share.why}"
    return share.model_copy(update={"figures": figures, "why": why})


def crash_is_survived(evidence: EngineTrial) -> Judgement:
    """E6: whether a crash costs only what the crashed engine had accepted, counted by request."""
    figures = counts(evidence)
    bad = [c for c in evidence.calls if not c.ok]
    lost = [c for c in bad if c.engine in evidence.engines and c.sent_ns <= evidence.settled_ns]
    unknown = unattributed(evidence, evidence.healed_ns)
    # What its return costs is no cost of the crash: it is E8's.
    starting = Return(evidence).starting
    its = [*starting, *evidence.restarted]
    afterwards = [c for c in evidence.sent(evidence.settled_ns, evidence.healing_ns) if c not in its]
    figures |= {
        "failed_while_starting": len(starting),
        "lost_with_the_engine": len(lost),
        "unattributed": len(unknown),
        "noticed_s": noticed_s(evidence),
        "calls_answered_afterwards": sum(c.ok for c in afterwards),
    }
    if before := unwell(evidence) or unbroken(evidence):
        return inconclusive(before, **figures)
    wrong = list(wrong_anyway(evidence))
    excused = [*lost, *unknown, *starting]
    dead = "handed to the crashed engine after its crash"
    wrong += [
        f"{dead if c.engine in evidence.engines else 'not of the crashed engine'}: {c}"
        for c in bad
        if c not in excused
    ]
    if wrong:
        return failed(f"the crash of {evidence.what} cost more than it held: {wrong[0]}", wrong, **figures)
    if doubt := next(chain(doubts(evidence), not_attributed(evidence, unknown)), None):
        return inconclusive(doubt, **figures)
    return passed(
        f"{evidence.what} crashed; the others answered all {len(afterwards)} calls sent "
        f"afterwards, {len(lost)} calls that it had accepted were lost with it"
        + "".join(f" ({c.request_id})" for c in lost[:3]),
        **figures,
    )


def clean_stop_loses_nothing(evidence: EngineTrial) -> Judgement:
    """E9: whether every call and every stack survives an engine that is stopped cleanly.

    What its start costs is no cost of the stop, see `Return`.
    """
    starting = Return(evidence).starting
    figures = counts(evidence) | {
        "failed_while_starting": len(starting),
        "stop_s": round((evidence.settled_ns - evidence.broken_ns) / 1e9, 2),
        "stacks": len(evidence.stacks),
    }
    if before := unwell(evidence) or unbroken(evidence):
        return inconclusive(before, **figures)
    lost = [str(c) for c in evidence.calls if not c.ok and c not in starting]
    lost += [
        f"{e.name} ({e.create.request_id}) is {e.outcome or 'not listed'}"
        for e in evidence.stacks
        if e.taken and e.outcome != "CREATE_COMPLETE"
    ]
    if lost or list(wrong_anyway(evidence)):
        wrong = [*wrong_anyway(evidence), *lost]
        return failed(f"a clean stop of {evidence.what} was not harmless: {wrong[0]}", wrong, **figures)
    if doubt := next(doubts(evidence), None):
        return inconclusive(doubt, **figures)
    return passed(
        f"{evidence.what} was stopped within {figures['stop_s']} s, and none of "
        f"{len(evidence.calls) - len(starting)} calls and {len(evidence.stacks)} stacks was lost",
        **figures,
    )
