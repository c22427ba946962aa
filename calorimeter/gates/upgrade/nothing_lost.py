"""Checks of an upgrade: no request fails beyond the promise (U1), no stack is lost (U2), each release
serves what the other one made (U3), and a step that is taken back loses nothing (U4)."""

from __future__ import annotations

from calorimeter.core.shown_text import some
from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, not_run, passed
from calorimeter.gates.upgrade.upgrade_trial import UpgradeTrial

FEWEST_REQUESTS = 100
FEWEST_STACKS = 20


def no_request_fails(trial: UpgradeTrial) -> Judgement:
    """U1: no request of the load failed beyond what the procedure promises.

    A request that was dropped by the load itself was never sent, and does not count. INCONCLUSIVE if
    requests failed before the first step already, or if there were too few.
    """
    unexcused = sum(each.unexcused for each in trial.steps)
    requests = sum(each.requests for each in trial.steps)
    figures: dict[str, Figure] = {
        **trial.figures(),
        "unexcused": unexcused,
        "requests_before": trial.before,
        "failed_before": trial.failed_before,
    }
    wrong = [f"{each.step.planned}: {text}" for each in trial.steps for text in each.examples]
    if trial.failed_before:
        return inconclusive(
            f"{trial.failed_before} of {trial.before} requests failed before the upgrade began", **figures
        )
    if unexcused:
        worst = max(trial.steps, key=lambda each: each.unexcused)
        return failed(
            f"{unexcused} of {requests} requests failed, {worst.unexcused} of them in {worst.step.planned}",
            wrong,
            **figures,
        )
    if gap := next(trial.gaps(), None):
        return inconclusive(gap, **figures)
    if requests < FEWEST_REQUESTS:
        return inconclusive(
            f"{some(requests, 'request')}, at least {FEWEST_REQUESTS} are needed", **figures
        )
    why = f"none of {requests} requests failed beyond what the procedure promises"
    return passed(f"{why}{trial.unseen}", **figures)


def no_stack_is_lost(trial: UpgradeTrial) -> Judgement:
    """U2: every stack and action that was accepted reached a final state, and none failed.

    A stack that is lost is named with the message, engine and step that lost it. One that had a message
    shortly before the end of the recording may have gone on: it proves nothing.
    """
    figures = trial.figures()
    stuck = [each for each in trial.record.lost if not trial.may_go_on(each)]
    moving = len(trial.record.lost) - len(stuck)
    wrong = [*map(str, stuck), *trial.failed_stacks]
    if stuck:
        lost = some(len(stuck), "accepted operation")
        return failed(f"{lost} never ended: {wrong[0]}", wrong, **figures)
    if trial.failed_stacks:
        return failed(f"{some(len(trial.failed_stacks), 'stack')} failed: {wrong[0]}", wrong, **figures)
    if gap := next(trial.gaps(), None):
        return inconclusive(gap, **figures)
    if moving:
        why = f"{some(moving, 'operation')} still went on: the engines are too slow for this load"
        return inconclusive(why, **figures)
    if trial.accepted < FEWEST_STACKS:
        return inconclusive(
            f"{some(trial.accepted, 'stack')} accepted, at least {FEWEST_STACKS} are needed", **figures
        )
    why = f"all {trial.accepted} stacks that were accepted became final, none failed"
    return passed(f"{why}{trial.unseen}", **figures)


def each_serves_the_other(trial: UpgradeTrial) -> Judgement:
    """U3: each release updated and deleted the stacks that the other one had made."""
    crossed = trial.record.crossed
    figures: dict[str, Figure] = {"operations": len(crossed)}
    wrong = [
        f"{each.operation} by {each.changed_by} of {each.stack}, made by {each.made_by}: {each.outcome}, "
        f"wanted {each.wanted}"
        for each in crossed
        if each.outcome != each.wanted
    ]
    figures["wrong"] = len(wrong)
    if wrong:
        return failed(
            f"{len(wrong)} of {len(crossed)} operations did not end as wanted: {wrong[0]}", wrong, **figures
        )
    ways = {(each.made_by, each.changed_by, each.operation) for each in crossed}
    old, new = trial.record.from_release, trial.record.to_release
    needed = {(a, b, what) for a, b in ((old, new), (new, old)) for what in ("update", "delete")}
    if missing := sorted(needed - ways):
        made, changed, what = missing[0]
        return inconclusive(f"no stack of {made} was asked to {what} at {changed}", **figures)
    longest_s = max(each.took_s for each in crossed)
    return passed(
        f"each release updated and deleted what the other one had made, in {longest_s:.1f} s at most",
        **figures,
        longest_s=longest_s,
    )


def taking_back_loses_nothing(trial: UpgradeTrial) -> Judgement:
    """U4: while steps were taken back, no request failed beyond the promise, and no stack was lost."""
    back = trial.of(back=True)
    figures: dict[str, Figure] = {
        "steps_back": len(back),
        "requests": sum(each.requests for each in back),
        "unexcused": sum(each.unexcused for each in back),
        "stacks_lost": len(lost := trial.lost_in(back=True)),
    }
    wrong = [*map(str, lost), *(f"{each.step.planned}: {text}" for each in back for text in each.examples)]
    if wrong:
        return failed(f"while steps were taken back: {wrong[0]}", wrong, **figures)
    if trial.failed_before:
        return inconclusive("requests failed before the upgrade began", **figures)
    if not back:
        return not_run("no step was taken back: `calorimeter upgrade --take-back` does", **figures)
    if unended := [each.step for each in back if each.step.end != "done"]:
        return inconclusive(f"{unended[0].planned} was not done", **figures)
    if not figures["requests"]:
        return inconclusive("no request was due while steps were taken back", **figures)
    return passed(
        f"{some(len(back), 'step')} taken back; no request failed and no stack was lost", **figures
    )
