"""What calls get while no engine is there, and when engines have come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import (
    EngineTrial,
    counts,
    doubts,
    stalled,
    unbroken,
    unclear,
    wrong_anyway,
)


class Return:
    """The calls since the broken engines consume again, as far as engines were started anew.

    A consumer is no answer yet: an engine that starts has what waited in the queue before it, as long as
    that waits, the RPC timeout. Until all that returned have answered a call, at most for so long, calls
    that they were handed may fail in time: `starting`, since the fault, for an engine consumes before the
    broker lists it. All others are `served` or `lost`.
    """

    def __init__(self, evidence: EngineTrial) -> None:
        self.calls = [c for c in evidence.calls if c.sent_ns > evidence.healed_ns > 0]
        first: dict[str, int] = {}
        for call in evidence.calls:
            if call.ok and call.engine in evidence.returned and call.sent_ns > evidence.healing_ns:
                first[call.engine] = min(call.done_ns, first.get(call.engine, call.done_ns))
        self.silent = [name for name in evidence.returned if name not in first]
        """Who returned as a consumer and never answered."""
        self.serving_ns = max([evidence.healed_ns, *first.values()])
        latest_ns = evidence.healed_ns + round(evidence.rpc_timeout_s * 1e9)
        begun_ns = latest_ns if self.silent else min(self.serving_ns, latest_ns)
        # With the same name as before it is another only once the broker has given up the one of before.
        anew_ns = max(evidence.settled_ns, evidence.noticed_ns)
        self.starting = [
            c for c in evidence.calls
            if not c.ok and c.engine in first
            and (anew_ns if c.engine in evidence.engines else evidence.settled_ns) < c.sent_ns < begun_ns
        ]  # fmt: skip
        self.lost = [c for c in self.calls if not c.ok and c not in self.starting]
        self.served = [c for c in self.calls if c.ok]

    def handed(self, name: str) -> int:
        """How many calls one of those that returned was given."""
        return sum(call.engine == name for call in self.calls)

    def wrong(self) -> Iterator[str]:
        """Calls that nothing excuses, and engines that answer no more."""
        for name in self.silent:
            if self.handed(name):
                yield f"{name} answered none of {self.handed(name)} calls after it was back"
        yield from (f"after the engines were back: {call}" for call in self.lost)


def errors_are_clear_and_service_returns(evidence: EngineTrial) -> Judgement:
    """E8: whether calls get clear errors in bounded time without engines, and answers with them.

    An API waits `rpc_response_timeout`; to that comes what it takes itself (`api_s`). A call that the
    proxy cut off or answered itself, in Heat's stead, got no clear error. Service is back when every engine
    has answered, see `Return`.
    """
    back = Return(evidence)
    early = [c for c in evidence.calls if not c.ok and c.done_ns < evidence.broken_ns]
    bad = [c for c in evidence.calls if not c.ok and c.done_ns >= evidence.broken_ns]
    starting = [c for c in back.starting if c in back.calls]
    wrong = [*wrong_anyway(evidence), *unclear(evidence, bad), *back.wrong()]
    statuses = Counter(c.status for c in bad)
    healed = evidence.healed_ns > 0
    figures = counts(evidence) | {
        "outage_s": round((evidence.healed_ns - evidence.broken_ns) / 1e9, 1) if healed else None,
        "serving_s": round((back.serving_ns - evidence.healing_ns) / 1e9, 2) if healed else None,
        "api_s": round(evidence.api_s, 2),
        "late_s": round(evidence.late_s, 2),
        "calls_after": len(back.calls),
        "failed_while_starting": len(starting),
        **{f"answers_{status}": n for status, n in sorted(statuses.items())},
    }
    if early:
        return inconclusive(f"{len(early)} calls failed before any fault: {early[0]}", **figures)
    if why := unbroken(evidence):
        return inconclusive(why, **figures)
    if wrong:
        return failed(f"without engines, or after: {wrong[0]}", wrong, **figures)
    unseen = (f"{name} was handed no call after it was back" for name in back.silent)
    open_ = chain(doubts(evidence), _answered_meanwhile(evidence), stalled(evidence, bad), unseen)
    if doubt := next(open_, None):
        return inconclusive(doubt, **figures)
    if not back.served or not bad:
        missing = "failed during the outage" if not bad else "was answered after it"
        return inconclusive(f"no call {missing}", **figures)
    late = f", but {len(starting)} that engines got before they served" if starting else ""
    return passed(
        f"without engines {len(bad) - len(starting)} calls got an error of Heat's after at most "
        f"{figures['longest_failed_s']} s; {figures['recovery_s']} s after their start began all were back "
        f"by themselves, after {figures['serving_s']} s each had answered, and all {len(back.calls)} calls "
        f"since were answered{late}",
        **figures,
    )


def _answered_meanwhile(evidence: EngineTrial) -> Iterator[str]:
    """That there were engines left, where something shows any.

    What was sent in the outage is answered after it, by an engine that returned, or not at all.
    """
    if again := evidence.restarted:
        yield (
            f"{len(again)} calls were answered by engines of {evidence.what} before their start was asked "
            "for: something else (a supervisor?) starts them anew, so the command for "
            f"{evidence.fault!r} must stop that as well ({again[0]})"
        )
    if answered := evidence.answered_meanwhile:
        yield (
            f"{len(answered)} calls were answered while all of {evidence.what} were gone: somebody else "
            f"consumes, see gate E1 ({answered[0]})"
        )
