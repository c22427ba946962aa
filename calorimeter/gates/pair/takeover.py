"""V1: the virtual address moves within its bound when the proxy that has it dies.

The time runs from the moment of the fault, or from the last answer before the move if that is later: until
then the fault had not taken effect. It ends with the first answer of another proxy. Allowed are the bound
that follows from the VRRP settings (`calorimeter.core.vrrp`), the longest time between two answers before
the fault, and 100 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from calorimeter.core import vrrp
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, not_run, passed
from calorimeter.gates.health.detection import AGREE_S, FEWEST, SLOW_S, JudgementBuilder
from calorimeter.gates.pair.pair_trial import PairTrial, PairTrials


def address_moves_in_time(evidence: PairTrials) -> Judgement:
    """Whether the address moved to another proxy within its bound after each fault, that bound is within
    `max_failover_s`, clients were served from then on, and one proxy alone had the address before.

    Not run where no address moves between proxies.
    """
    if evidence.lacks:
        return not_run(evidence.lacks)
    builders = [_judged(trial) for trial in evidence.trials]
    slowest_s = max((builder.largest("_moved_s") for builder in builders), default=0.0)
    faults = ", ".join(f"{trial.fault.kind} {trial.fault.fault}" for trial in evidence.trials)
    return combined(
        builders,
        f"{faults}: the virtual address moved within its bound each time, after {slowest_s:.1f} s at most",
    )


def combined(builders: Iterable[JudgementBuilder], good: str) -> Judgement:
    """The judgement on all trials: a violation in one that can be judged is FAIL, whatever the others."""
    builders = list(builders)
    figures: dict[str, Figure] = {name: value for b in builders for name, value in b.figures.items()}
    against = [why for builder in builders if not builder.doubts for why in builder.against]
    doubts = [why for builder in builders for why in builder.doubts]
    if against:
        return failed(against[0], against[1:], **figures)
    if doubts or not builders:
        return inconclusive(doubts[0] if doubts else "no fault was injected", **figures)
    return passed(good, **figures)


def doubt_before(trial: PairTrial) -> str | None:
    """Why a trial says nothing: failed or too few requests before its fault; None if it says something."""
    early = [a for a in trial.attempts if a.done_ns < trial.fault.at_ns]
    bad = [a for a in early if not a.ok]
    if bad:
        return f"{trial.fault}: {len(bad)} of {len(early)} requests failed before the fault ({bad[0]})"
    if len(early) < FEWEST:
        return f"{trial.fault}: {len(early)} requests were answered before the fault, {FEWEST} are needed"
    return None


def prefix_of(trial: PairTrial) -> str:
    """`host_unreachable`: prefix of a figure's name."""
    return f"{trial.fault.kind}_{trial.fault.fault}".replace("-", "_")


def _judged(trial: PairTrial) -> JudgementBuilder:
    builder = JudgementBuilder(figures=_client_figures(trial))
    if doubt := doubt_before(trial):
        builder.doubts.append(doubt)
    elif both := trial.both(trial.began_ns, trial.fault.at_ns):
        builder.against.append(
            f"{' and '.join(both)} had the virtual address at once before {trial.fault}: see that "
            "keepalived runs on each of their hosts, and that they hear one another"
        )
    else:
        _move(trial, builder)
        _served_after(trial, builder)
    return builder


def bound_s(trial: PairTrial) -> float | None:
    """The bound of the move: that of the slowest of the proxies that may take the address.

    None if nothing moves it. Raises KeyError if a proxy has no VRRP settings.
    """
    others = [trial.vrrp[other] for other in trial.others]
    return vrrp.slowest_move_s(trial.vrrp[trial.holder], others, trial.fault.of_proxy)


def _move(trial: PairTrial, builder: JudgementBuilder) -> None:
    fault, name = trial.fault, prefix_of(trial)
    lacking = [proxy for proxy in (trial.holder, *trial.others) if proxy not in trial.vrrp]
    bound = None if lacking else bound_s(trial)
    moved_s = round((trial.moved.done_ns - trial.struck_ns) / 1e9, 3) if trial.moved else None
    builder.figures |= {f"{name}_moved_s": moved_s, f"{name}_bound_s": _rounded(bound)}
    wanted_s = trial.max_failover_s
    if bound is not None and wanted_s is not None and bound > wanted_s:
        builder.against.append(
            f"{fault}: its VRRP settings allow {bound:.2f} s, but max_failover_s is {wanted_s:g} s"
        )
    if moved_s is None:
        watched_s = (min(fault.over_ns, trial.ended_ns) - fault.at_ns) / 1e9
        builder.against.append(
            f"{fault}: no request was answered in the {watched_s:.1f} s after it{_why(trial)}"
        )
        return
    if lacking:
        builder.doubts.append(
            f"{fault}: clients were served again after {moved_s:.2f} s, but {lacking[0]} has no "
            "[proxy.vrrp] to compute a bound from"
        )
        return
    if bound is None:
        builder.against.append(
            f"{fault}: clients were served again after {moved_s:.2f} s, but nothing bounds it{_why(trial)}"
        )
        return
    allowed_s = bound + _resolution_s(trial) + AGREE_S
    builder.figures[f"{name}_allowed_s"] = round(allowed_s, 3)
    late = f"{fault}: the address moved {moved_s:.2f} s after it, its VRRP settings allow {bound:.2f} s"
    paused_s = _paused_s(trial)
    if moved_s > allowed_s + paused_s:
        builder.against.append(late)
    elif moved_s > allowed_s:
        builder.doubts.append(f"{late}, but this machine was paused for {paused_s:.2f} s in that time")


def _paused_s(trial: PairTrial) -> float:
    """By how much a request was sent late until the move: so late may all clients have been."""
    until_ns = trial.moved.done_ns if trial.moved else trial.fault.over_ns
    late = (a.sent_ns - a.due_ns for a in trial.attempts if trial.fault.at_ns < a.sent_ns <= until_ns)
    return max(late, default=0) / 1e9


def _why(trial: PairTrial) -> str:
    """Why the address cannot move, if the settings say it."""
    settings = trial.vrrp.get(trial.holder)
    if settings is None or trial.fault.of_proxy is None:
        return ""
    if settings.check_interval_s is not None:
        return _too_light(trial) if settings.failed_priority else ""
    return (
        f": keepalived of {trial.holder} does not ask whether its proxy works "
        "(`vrrp_script` and `track_script`)"
    )


def _too_light(trial: PairTrial) -> str:
    """Why a failed check with a weight leaves the address where it is; empty if it does not."""
    others = [other for other in trial.others if other in trial.vrrp]
    if not others or bound_s(trial) is not None:
        return ""
    left = trial.vrrp[trial.holder].failed_priority
    takers = ", ".join(
        f"{other} {trial.vrrp[other].working_priority if trial.vrrp[other].preempt else '`nopreempt`'}"
        for other in others
    )
    return (
        f": a failed check (`weight`) leaves {trial.holder} the priority {left}; the address moves to a "
        f"proxy with `preempt` and a higher one only ({takers})"
    )


def _resolution_s(trial: PairTrial) -> float:
    """The longest time between two answers before the fault."""
    early = [a.done_ns for a in trial.attempts if a.ok and a.done_ns < trial.fault.at_ns]
    return max((later - earlier for earlier, later in pairwise(sorted(early))), default=0) / 1e9


def _served_after(trial: PairTrial, builder: JudgementBuilder) -> None:
    """Judge whether the proxy that took the address served all clients until the fault was healed."""
    if trial.moved is None:
        return
    since_ns = trial.moved.done_ns
    later = [a for a in trial.attempts if since_ns < a.sent_ns and a.done_ns < trial.fault.over_ns]
    bad = [a for a in later if not a.ok]
    if bad:
        builder.against.append(
            f"{trial.fault}: {len(bad)} of {len(later)} requests failed after the move ({bad[0]})"
        )


def _client_figures(trial: PairTrial) -> dict[str, Figure]:
    """What clients saw until the fault was healed; `gap_s` is the longest time without an answer."""
    name, fault = prefix_of(trial), trial.fault
    during = [a for a in trial.attempts if fault.at_ns < a.done_ns and a.sent_ns < fault.over_ns]
    bad = [a for a in during if not a.ok]
    ends_ns = min(fault.over_ns, trial.ended_ns)
    answers = [*sorted(a.done_ns for a in trial.attempts if a.ok and a.done_ns < ends_ns), ends_ns]
    gaps = [later - earlier for earlier, later in pairwise(answers) if later > fault.at_ns]
    return {
        f"{name}_requests": len(during),
        f"{name}_failed": len(bad),
        f"{name}_slow": sum(a.ok and a.response_s > SLOW_S for a in during),
        f"{name}_gap_s": round(max(gaps, default=0) / 1e9, 3),
        f"{name}_longest_s": round(max((a.response_s for a in during if a.ok), default=0.0), 2),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
