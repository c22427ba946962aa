"""Calls lost with one engine that stops (E9) or crashes (E6), and its share when it joins again (E5)."""

from __future__ import annotations

from itertools import chain

from calorimeter.core.verdict import Judgement, Outcome, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import EngineTrial
from calorimeter.gates.engines.equal_shares import equal_shares
from calorimeter.gates.engines.service_return import ServiceReturn
from calorimeter.gates.engines.struck_engines import listed


def joining_engine_gets_its_share(evidence: EngineTrial) -> Judgement:
    """E5: whether an engine that joins gets its share, and how soon."""
    figures = evidence.common_figures()
    # An incomplete trace may lack the first call.
    lacking = evidence.incomplete if evidence.healed_ns and not evidence.first_ns else None
    if why := evidence.why_not_broken() or lacking:
        return inconclusive(why, **figures)
    if not evidence.healed_ns or not evidence.first_ns:
        problem = "got no call" if evidence.healed_ns else "did not consume again"
        return failed(f"{evidence.named} was started again and {problem}", (), **figures)
    figures["first_call_s"] = round((evidence.first_ns - evidence.healing_ns) / 1e9, 2)
    if evidence.after is None:
        return inconclusive("no shares were counted after the engine had joined", **figures)
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
        again = f" again as {listed(evidence.returned)}" if evidence.returned else " again"
        first = (
            f"{evidence.named} was started{again}: it had its first call {figures['first_call_s']} s after "
            "its start began"
        )
        why = f"{first}, and its equal share from then on: {share.why}"
    return share.model_copy(update={"figures": figures, "why": why})


def crash_is_survived(evidence: EngineTrial) -> Judgement:
    """E6: whether a crash costs only the calls that the crashed engine had accepted, by request."""
    figures = evidence.common_figures()
    bad = [c for c in evidence.calls if not c.ok]
    lost = [c for c in bad if c.engine in evidence.engines and c.sent_ns <= evidence.settled_ns]
    unknown = evidence.unattributed(evidence.healed_ns)
    # What the engine's return costs is no cost of the crash: E8 judges it.
    starting = ServiceReturn(evidence).starting
    by_returned = [*starting, *evidence.answered_by_restarted]
    afterwards = [
        c for c in evidence.sent(evidence.settled_ns, evidence.healing_ns) if c not in by_returned
    ]
    figures |= {
        "failed_while_starting": len(starting),
        "lost_with_the_engine": len(lost),
        "unattributed": len(unknown),
        "noticed_s": evidence.noticed_s,
        "calls_answered_afterwards": sum(c.ok for c in afterwards),
    }
    if before := evidence.why_not_broken() or evidence.failures_before():
        return inconclusive(before, **figures)
    excused = [*lost, *unknown, *starting]
    dead = "delivered to the crashed engine after its crash"
    wrong = list(evidence.never_excused())
    wrong += [
        f"{dead if c.engine in evidence.engines else 'not of the crashed engine'}: {c}"
        for c in bad
        if c not in excused
    ]
    if wrong:
        return failed(
            f"the crash of {evidence.named} cost more than the calls it had accepted: {wrong[0]}",
            wrong,
            **figures,
        )
    if gap := next(chain(evidence.gaps(), evidence.unattributed_gap(unknown)), None):
        return inconclusive(gap, **figures)
    return passed(
        f"{evidence.named} crashed; the other engines answered all {len(afterwards)} calls sent "
        f"afterwards, {len(lost)} calls that it had accepted were lost with it"
        + "".join(f" ({c.request_id})" for c in lost[:3]),
        **figures,
    )


def clean_stop_loses_nothing(evidence: EngineTrial) -> Judgement:
    """E9: whether every call and every stack survives the clean stop of an engine.

    What its start costs is no cost of the stop, see `ServiceReturn`.
    """
    starting = ServiceReturn(evidence).starting
    figures = evidence.common_figures() | {
        "failed_while_starting": len(starting),
        "stop_s": round((evidence.settled_ns - evidence.broken_ns) / 1e9, 2),
        "stacks": len(evidence.stacks),
    }
    if before := evidence.why_not_broken() or evidence.failures_before():
        return inconclusive(before, **figures)
    wrong = [
        *evidence.never_excused(),
        *(str(c) for c in evidence.calls if not c.ok and c not in starting),
        *(
            f"{e} is {e.outcome or 'not listed'}"
            for e in evidence.stacks
            if e.taken and e.outcome != "CREATE_COMPLETE"
        ),
    ]
    if wrong:
        return failed(f"a clean stop of {evidence.named} caused damage: {wrong[0]}", wrong, **figures)
    if gap := next(evidence.gaps(), None):
        return inconclusive(gap, **figures)
    return passed(
        f"{evidence.named} stopped within {figures['stop_s']} s, and none of "
        f"{len(evidence.calls) - len(starting)} calls and {len(evidence.stacks)} stacks was lost",
        **figures,
    )
