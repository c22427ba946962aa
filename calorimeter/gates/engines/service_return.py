"""Calls while no engine is there (E8), and when engines have returned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from calorimeter.core.verdict import Judgement, failed, inconclusive, passed
from calorimeter.gates.engines.engine_trial import EngineTrial


class ServiceReturn:
    """The calls since the broken engines consume again, by what a restart excuses.

    An engine that consumes does not answer at once: when it starts, it first works off what waited in the
    queue, for at most the RPC timeout. Until every returned engine has answered a call, and for at most
    the RPC timeout, calls that were delivered to them may fail in time: `starting`. They count from the
    fault on, because an engine consumes before the broker lists it. All other calls are `served` or
    `lost`.
    """

    def __init__(self, evidence: EngineTrial) -> None:
        self.calls = [c for c in evidence.calls if c.sent_ns > evidence.healed_ns > 0]
        first: dict[str, int] = {}
        for call in evidence.calls:
            if call.ok and call.engine in evidence.returned and call.sent_ns > evidence.healing_ns:
                first[call.engine] = min(call.done_ns, first.get(call.engine, call.done_ns))
        self.silent = [name for name in evidence.returned if name not in first]
        """The consumers that returned and never answered."""
        self.serving_ns = max([evidence.healed_ns, *first.values()])
        latest_ns = evidence.healed_ns + round(evidence.rpc_timeout_s * 1e9)
        served_ns = latest_ns if self.silent else min(self.serving_ns, latest_ns)
        # A consumer with an old name is the new process only after the broker has dropped the old one.
        renewed_ns = max(evidence.settled_ns, evidence.noticed_ns)
        self.starting = [
            c for c in evidence.calls
            if not c.ok and c.engine in first
            and (renewed_ns if c.engine in evidence.engines else evidence.settled_ns) < c.sent_ns
            and c.sent_ns < served_ns
        ]  # fmt: skip
        self.lost = [c for c in self.calls if not c.ok and c not in self.starting]
        self.served = [c for c in self.calls if c.ok]

    def delivered_to(self, name: str) -> int:
        """Number of calls that were delivered to one of the returned engines."""
        return sum(call.engine == name for call in self.calls)

    def wrong(self) -> Iterator[str]:
        """Failed calls that nothing excuses, and engines that do not answer."""
        for name in self.silent:
            if count := self.delivered_to(name):
                yield f"{name} answered none of {count} calls after its return"
        yield from (f"after the engines' return: {call}" for call in self.lost)


def errors_are_clear_and_service_returns(evidence: EngineTrial) -> Judgement:
    """E8: whether calls get clear errors in bounded time without engines, and answers with them.

    An API waits for `rpc_response_timeout`, plus its own time (`api_s`). A call that the proxy ended or
    answered in Heat's stead got no clear error. Service has returned when every engine has answered, see
    `ServiceReturn`.
    """
    back = ServiceReturn(evidence)
    early = [c for c in evidence.calls if not c.ok and c.done_ns < evidence.broken_ns]
    bad = [c for c in evidence.calls if not c.ok and c.done_ns >= evidence.broken_ns]
    starting = [c for c in back.starting if c in back.calls]
    wrong = [*evidence.never_excused(), *evidence.unclear_errors(bad), *back.wrong()]
    statuses = Counter(c.status for c in bad)
    healed = evidence.healed_ns > 0
    figures = evidence.common_figures() | {
        "outage_s": round((evidence.healed_ns - evidence.broken_ns) / 1e9, 1) if healed else None,
        "serving_s": round((back.serving_ns - evidence.healing_ns) / 1e9, 2) if healed else None,
        "api_s": round(evidence.api_s, 2),
        "late_s": round(evidence.late_s, 2),
        "calls_after": len(back.calls),
        "failed_while_starting": len(starting),
        **{f"answers_{status}": n for status, n in sorted(statuses.items())},
    }
    if early:
        return inconclusive(f"{len(early)} calls failed before the fault: {early[0]}", **figures)
    if why := evidence.why_not_broken():
        return inconclusive(why, **figures)
    if wrong:
        return failed(f"without engines, or after their return: {wrong[0]}", wrong, **figures)
    silent = (f"no call was delivered to {name} after its return" for name in back.silent)
    gaps = chain(evidence.gaps(), _engines_left(evidence), evidence.late_like_the_suite(bad), silent)
    if gap := next(gaps, None):
        return inconclusive(gap, **figures)
    if not back.served or not bad:
        missing = "failed during the outage" if not bad else "was answered after it"
        return inconclusive(f"no call {missing}", **figures)
    late = f", except {len(starting)} delivered to engines that were still starting" if starting else ""
    return passed(
        f"without engines {len(bad) - len(starting)} calls got an error from Heat after at most "
        f"{figures['longest_failed_s']} s; all engines consumed again {figures['recovery_s']} s after "
        f"their start began, with nothing else restarted, and each had answered after "
        f"{figures['serving_s']} s; all {len(back.calls)} calls since were answered{late}",
        **figures,
    )


def _engines_left(evidence: EngineTrial) -> Iterator[str]:
    """Signs that engines were left during the outage: calls sent and answered in it."""
    if again := evidence.answered_by_restarted:
        yield (
            f"{len(again)} calls were answered by engines of {evidence.part_names} before the suite "
            "started them: something else (a supervisor?) restarts them, so the command for "
            f"{evidence.fault!r} must stop that as well ({again[0]})"
        )
    if answered := evidence.answered_during:
        yield (
            f"{len(answered)} calls were answered while all of {evidence.part_names} were down: another "
            f"process consumes, see gate E1 ({answered[0]})"
        )
