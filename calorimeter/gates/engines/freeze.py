"""What a frozen engine costs, and when anybody notices."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import (
    EngineTrial,
    by_proxy,
    counts,
    doubts,
    not_attributed,
    noticed_s,
    stalled,
    unattributed,
    unclear,
    unwell,
    wrong_anyway,
)


class _Frozen:
    """The calls of E7, told apart.

    A call is the frozen engine's if it ever had it. `stuck` were with it while it was frozen, `failed` are
    those of them that failed, `rescued` those that the broker handed to others, who answered them; `thawed`
    were sent to it after the thaw; `unknown` are failed calls of which nobody knows whose they were.
    """

    def __init__(self, evidence: EngineTrial) -> None:
        mine = [c for c in evidence.calls if c.was_with(evidence.engines)]
        self.during = [c for c in mine if evidence.broken_ns <= c.sent_ns < evidence.healing_ns]
        self.stuck = [c for c in mine if c.sent_ns < evidence.healing_ns and c.done_ns > evidence.broken_ns]
        self.failed = [c for c in self.stuck if not c.ok]
        self.rescued = [c for c in self.stuck if c.ok and c.engine not in evidence.engines]
        self.thawed = [c for c in mine if c.sent_ns >= evidence.healing_ns]
        # Without an end: a call to the thawed engine may fail long after the thaw.
        self.unknown = unattributed(evidence)

    def figures(self, evidence: EngineTrial) -> dict[str, Figure]:
        """What the freeze cost, in numbers."""
        share, during = len(self.during), len(evidence.during)
        return {
            "calls_to_the_frozen": share,
            "share_of_the_frozen": round(share / during, 3) if during else None,
            "failed_of_them": sum(not c.ok for c in self.during),
            "failed_in_hand": sum(c.sent_ns < evidence.broken_ns for c in self.failed),
            "handed_to_others": len(self.rescued),
            "unattributed": len(self.unknown),
            "frozen_s": round((evidence.healing_ns - evidence.broken_ns) / 1e9, 1),
            "noticed_s": noticed_s(evidence),
            "heartbeat_s": evidence.heartbeat_s,
            "api_s": round(evidence.api_s, 2),
            "failed_after_the_thaw": sum(not c.ok for c in self.thawed),
        }

    def wrong(self, evidence: EngineTrial) -> Iterator[str]:
        """What it cost others, errors that were not clear, and an engine that answers no more."""
        excused = [*self.stuck, *self.thawed, *self.unknown]
        yield from (
            f"not of the frozen engine: {c}" for c in evidence.calls if not c.ok and c not in excused
        )
        its = [c for c in self.thawed if c.engine in evidence.engines]
        if its and not any(c.ok for c in its):
            yield f"{evidence.what} answered none of {len(its)} calls after it was thawed"
        # Whosever a call was that the proxy answered itself or cut off: its caller got nothing of Heat's.
        proxys = [c for c in self.unknown if c.sent_ns < evidence.healing_ns and by_proxy(evidence, c)]
        yield from unclear(evidence, [*self.failed, *proxys])


def freeze_costs_its_share(evidence: EngineTrial) -> Judgement:
    """E7: whether a frozen engine costs no more than its own share, and its callers get errors in time.

    The broker goes on handing it its share, for it cannot know: that is the guide's blind spot, so it is a
    figure and refutes nothing. What it costs others does. What it had been handed and not yet answered when
    it froze is its own, too. Thawed, it works off what it was handed meanwhile and answers new calls late:
    those are its share too, but it must answer in the end. Where the broker takes it out and hands its
    calls to others, they need not fail at all.
    """
    calls = _Frozen(evidence)
    figures = counts(evidence) | calls.figures(evidence)
    if before := unwell(evidence):
        return inconclusive(before, **figures)
    wrong = [*wrong_anyway(evidence), *calls.wrong(evidence)]
    if wrong:
        return failed(f"frozen {evidence.what} cost more than its share: {wrong[0]}", wrong, **figures)
    open_ = chain(
        doubts(evidence), not_attributed(evidence, calls.unknown), stalled(evidence, calls.failed)
    )
    if doubt := next(open_, None):
        return inconclusive(doubt, **figures)
    if not calls.failed and not (evidence.noticed_ns and calls.rescued):
        return inconclusive(f"no call to frozen {evidence.what} was seen to fail", **figures)
    held = figures["failed_in_hand"]
    in_hand = f", and {held} that it had when it froze" if held else ""
    noticed = (
        f"the broker took it out after {figures['noticed_s']} s and handed {len(calls.rescued)} of its "
        "calls to others"
        if evidence.noticed_ns
        else f"in {figures['frozen_s']} s nobody noticed{_will_notice(evidence)}"
    )
    return passed(
        f"frozen {evidence.what} went on getting {figures['share_of_the_frozen']:.0%} of the calls, "
        f"{figures['failed_of_them']} of which failed after {evidence.rpc_timeout_s:g} s{in_hand}; "
        f"{noticed}; the others answered all of theirs",
        **figures,
    )


def _will_notice(evidence: EngineTrial) -> str:
    """When the broker notices: it looks for data once a heartbeat, and gives up the second time."""
    if not evidence.heartbeat_s:
        return ""
    return (
        f" (the broker does two to three heartbeats of {evidence.heartbeat_s} s after it last heard of it)"
    )
