"""The cost of a frozen engine, and when the broker notices it (E7)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from calorimeter.core.verdict import Figure, Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import EngineTrial


class _FrozenCalls:
    """The calls of E7 by what the freeze did to them.

    A call is the frozen engine's if it was ever delivered to it. `stuck` were with it while it was
    frozen, `failed` are those of them that failed, `rescued` those that the broker redelivered to others,
    who answered them; `thawed` were sent to it after the thaw; `unknown` are failed calls without a known
    engine.
    """

    def __init__(self, evidence: EngineTrial) -> None:
        own = [c for c in evidence.calls if c.was_with(evidence.engines)]
        self.during = [c for c in own if evidence.broken_ns <= c.sent_ns < evidence.healing_ns]
        self.stuck = [c for c in own if c.sent_ns < evidence.healing_ns and c.done_ns > evidence.broken_ns]
        self.failed = [c for c in self.stuck if not c.ok]
        self.rescued = [c for c in self.stuck if c.ok and c.engine not in evidence.engines]
        self.thawed = [c for c in own if c.sent_ns >= evidence.healing_ns]
        # Unbounded: a call to the thawed engine may fail long after the thaw.
        self.unknown = evidence.unattributed()

    def figures(self, evidence: EngineTrial) -> dict[str, Figure]:
        """The cost of the freeze."""
        share, during = len(self.during), len(evidence.sent_during)
        return {
            "calls_to_the_frozen": share,
            "share_of_the_frozen": round(share / during, 3) if during else None,
            "failed_of_them": sum(not c.ok for c in self.during),
            "failed_in_hand": sum(c.sent_ns < evidence.broken_ns for c in self.failed),
            "handed_to_others": len(self.rescued),
            "unattributed": len(self.unknown),
            "frozen_s": round((evidence.healing_ns - evidence.broken_ns) / 1e9, 1),
            "noticed_s": evidence.noticed_s,
            "heartbeat_s": evidence.heartbeat_s,
            "api_s": round(evidence.api_s, 2),
            "failed_after_the_thaw": sum(not c.ok for c in self.thawed),
        }

    def wrong(self, evidence: EngineTrial) -> Iterator[str]:
        """Costs to other engines' calls, unclear errors, and a thawed engine that does not answer."""
        excused = [*self.stuck, *self.thawed, *self.unknown]
        yield from (
            f"not of the frozen engine: {c}" for c in evidence.calls if not c.ok and c not in excused
        )
        handled = [c for c in self.thawed if c.engine in evidence.engines]
        if handled and not any(c.ok for c in handled):
            yield f"{evidence.named} answered none of {len(handled)} calls after it was thawed"
        # A call that the proxy ended got nothing of Heat's, whichever engine it was at.
        by_proxy = [
            c for c in self.unknown if c.sent_ns < evidence.healing_ns and evidence.ended_by_proxy(c)
        ]
        yield from evidence.unclear_errors([*self.failed, *by_proxy])


def freeze_costs_its_share(evidence: EngineTrial) -> Judgement:
    """E7: whether a frozen engine costs no more than its own share, and its callers get errors in time.

    The broker cannot know of the freeze and goes on delivering calls to the engine: that is the guide's
    blind spot, so it is a figure and refutes nothing. A cost to other engines' calls does. Calls that
    were delivered before the freeze and not yet answered are the engine's own too. After the thaw it
    first works off its backlog and answers new calls late: those are its own too, but it must answer in
    the end. If the broker drops the engine and redelivers its calls to others, they need not fail at all.
    """
    calls = _FrozenCalls(evidence)
    figures = evidence.common_figures() | calls.figures(evidence)
    if before := evidence.why_not_as_many() or evidence.failures_before():
        return inconclusive(before, **figures)
    wrong = [*evidence.never_excused(), *calls.wrong(evidence)]
    if wrong:
        return failed(
            f"freezing {evidence.named} cost more than its share of the calls: {wrong[0]}",
            wrong,
            **figures,
        )
    gaps = chain(
        evidence.gaps(),
        evidence.unattributed_gap(calls.unknown),
        evidence.late_like_the_suite(calls.failed),
    )
    if gap := next(gaps, None):
        return inconclusive(gap, **figures)
    if not calls.failed and not (evidence.noticed_ns and calls.rescued):
        return inconclusive(f"no call to frozen {evidence.named} failed", **figures)
    held = figures["failed_in_hand"]
    in_hand = f", and {held} more that it held when it froze" if held else ""
    noticed = (
        f"the broker dropped its consumers after {figures['noticed_s']} s and redelivered "
        f"{len(calls.rescued)} of its calls to others"
        if evidence.noticed_ns
        else f"in {figures['frozen_s']} s the broker did not notice{_notice_bound(evidence)}"
    )
    return passed(
        f"frozen {evidence.named} still got {figures['share_of_the_frozen']:.0%} of the calls, "
        f"{figures['failed_of_them']} of which failed after {evidence.rpc_timeout_s:g} s{in_hand}; "
        f"{noticed}; the other engines answered all their calls",
        **figures,
    )


def _notice_bound(evidence: EngineTrial) -> str:
    """When the broker notices: it checks for data once per heartbeat and closes at the second miss."""
    if not evidence.heartbeat_s:
        return ""
    return (
        f" (it does two to three heartbeats of {evidence.heartbeat_s} s after it last received data from "
        "the engine)"
    )
