"""V2: the virtual address returns to the healed proxy, or stays, as the VRRP settings say.

A proxy with `preempt` and the higher priority takes the address back; any other leaves it where it is.
Requests in flight while the address moves are cut, which VRRP cannot avoid: they are counted, and not
judged. Every other request that fails from the healing on was sent to a proxy that had the address and
could not serve.
"""

from __future__ import annotations

from calorimeter.core import detection_bounds, vrrp
from calorimeter.core.verdict import Judgement, not_run
from calorimeter.gates.health.detection import AGREE_S, JudgementBuilder
from calorimeter.gates.health.trial import Attempt
from calorimeter.gates.pair.pair_trial import PairTrial, PairTrials, Served
from calorimeter.gates.pair.takeover import combined, doubt_before, prefix_of


def address_returns_as_configured(evidence: PairTrials) -> Judgement:
    """Whether the address returned or stayed as configured, in time, and no client was sent to a proxy that
    could not serve.

    Not run where no address moves between proxies.
    """
    if evidence.lacks:
        return not_run(evidence.lacks)
    builders = [_judged(trial) for trial in evidence.trials]
    ways = dict.fromkeys(
        "returned to the healed proxy" if _should_return(trial) else "stayed where it was"
        for trial in evidence.trials
    )
    requests = sum(
        int(v or 0) for b in builders for k, v in b.figures.items() if k.endswith("back_requests")
    )
    return combined(
        builders,
        f"the virtual address {' or '.join(ways)} as configured, {len(builders)} times; of {requests} "
        "requests from the healing on none failed but those that were in flight when it moved",
    )


def _taker(trial: PairTrial) -> str | None:
    """The proxy that had the address when the fault was healed."""
    if trial.moved is None:
        return None
    return trial.server(trial.moved.done_ns, trial.fault.over_ns)


def _should_return(trial: PairTrial) -> bool | None:
    """Whether the healed proxy takes the address back, by its settings; None if they are not known."""
    mine, theirs = trial.vrrp.get(trial.holder), trial.vrrp.get(_taker(trial) or "")
    if mine is None or theirs is None:
        return None
    return mine.preempt and mine.working_priority > theirs.working_priority


def _judged(trial: PairTrial) -> JudgementBuilder:
    builder, fault = JudgementBuilder(), trial.fault
    if doubt := doubt_before(trial):
        builder.doubts.append(doubt)
        return builder
    taker = _taker(trial)
    if trial.moved is None or taker in (None, trial.holder):
        builder.doubts.append(
            f"{fault}: the address did not leave {trial.holder}, so it cannot return (V1)"
        )
        return builder
    expected, at_end = _should_return(trial), trial.server(trial.quiet_ns, trial.ended_ns)
    builder.figures[f"{prefix_of(trial)}_returns"] = at_end == trial.holder
    if both := trial.both(trial.quiet_ns, trial.ended_ns):
        builder.against.append(f"{fault} was healed, and {' and '.join(both)} had the address at once")
    elif expected is None:
        builder.doubts.append(
            f"{fault}: {trial.holder} or {taker} has no [proxy.vrrp] that says what to expect"
        )
    elif expected and at_end != trial.holder:
        builder.against.append(
            f"{fault}: healed {trial.holder} did not take the address back from {taker}, although it has "
            "`preempt` and the higher priority"
        )
    elif not expected and at_end != taker:
        builder.against.append(
            f"{fault}: the address went from {taker} to {at_end}, although {_stays(trial)}"
        )
    elif expected:
        _in_time(trial, builder)
    _clients(trial, builder)
    return builder


def _stays(trial: PairTrial) -> str:
    mine = trial.vrrp[trial.holder]
    return f"{trial.holder} has {'a lower priority' if mine.preempt else '`nopreempt`'}"


def _in_time(trial: PairTrial, builder: JudgementBuilder) -> None:
    returned, name = trial.returned, prefix_of(trial)
    assert returned is not None  # it served at the end
    bound_s = vrrp.returns_s(trial.vrrp[trial.holder])
    taken_s = (returned.seen_ns - trial.fault.healed_ns) / 1e9
    resolution_s = (returned.seen_ns - returned.since_ns) / 1e9
    builder.figures |= {
        f"{name}_returned_s": round(taken_s, 3),
        f"{name}_return_bound_s": round(bound_s, 3),
    }
    if taken_s > bound_s + resolution_s + AGREE_S:
        builder.against.append(
            f"{trial.fault}: the address returned {taken_s:.2f} s after it was healed, its settings allow "
            f"{bound_s:.2f} s"
        )


def _clients(trial: PairTrial, builder: JudgementBuilder) -> None:
    """Judge what clients saw from the healing on."""
    later = [a for a in trial.attempts if a.sent_ns > trial.fault.over_ns]
    bad = [a for a in later if not a.ok]
    cut = [a for a in bad if _in_flight(a, trial.returned)]
    builder.figures |= {
        f"{prefix_of(trial)}_back_requests": len(later),
        f"{prefix_of(trial)}_back_failed": len(bad),
        f"{prefix_of(trial)}_back_cut": len(cut),
    }
    judged = [a for a in bad if a not in cut]
    if not judged:
        return
    lasted_s = (max(a.done_ns for a in judged) - min(a.sent_ns for a in judged)) / 1e9
    builder.against.append(
        f"{trial.fault}: {len(judged)} of {len(later)} requests failed within {lasted_s:.1f} s when "
        f"{trial.holder} was back ({judged[0]}){_remedy(trial)}"
    )


def _in_flight(attempt: Attempt, returned: Served | None) -> bool:
    """Whether the address may have moved back while a request was in flight."""
    return (
        returned is not None
        and attempt.sent_ns <= returned.seen_ns
        and returned.since_ns <= attempt.done_ns
    )


def _remedy(trial: PairTrial) -> str:
    settings = trial.vrrp.get(trial.holder)
    if settings is None or not settings.preempt or trial.checks is None or trial.returned is None:
        return ""
    needed_s = detection_bounds.recovery_s(trial.checks, "unreachable")
    return (
        f": it took the address before its own checks had its servers UP (up to {needed_s:g} s); "
        "`nopreempt`, or a `preempt_delay` that is longer"
    )
