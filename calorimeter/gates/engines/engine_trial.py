"""Calls while engines stop, crash, freeze, are all gone, and come back: the evidence of E5 to E9."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.engines.shares import Shares
from calorimeter.gates.ledger.stack_ledger import Entry

FEWEST_CALLS = 10

GRAIN_S = 1.0
"""Grain of the timers between client and API: HAProxy's and the API's own clocks are seconds wide."""


class EngineTrial(Model):
    """Evidence of E5 to E9: a stream of calls, while engines had a fault from `broken_ns` to `healed_ns`.

    Times are ns since the epoch. `broken_ns` is when the fault took effect, `settled_ns` when its command
    ended; `healing_ns` is when the command that brings the engines back began, `healed_ns` when the broker
    had all consumers again (0: not in time). `engines` names the consumers of the broken ones, `returned`
    those of the engines that were started anew;
    `noticed_ns` is when the broker no longer had them (0: it never noticed). `first_ns` is when a consumer
    of a healed engine had its first delivery (0: none). `api_s` is the longest that a call took before the
    fault, or at any time what the API refuses by itself: what it and the proxy add to the RPC timeout;
    `late_s` by how much the suite itself was late with a call. `heartbeat_s` is AMQP's heartbeat of the
    broken engines, None without.
    """

    fault: str
    parts: tuple[str, ...]
    engines: tuple[str, ...]
    returned: tuple[str, ...] = ()
    consumers: int
    broken_ns: int
    settled_ns: int
    healing_ns: int
    healed_ns: int
    noticed_ns: int = 0
    first_ns: int = 0
    rpc_timeout_s: float
    proxy_timeout_s: float | None = None
    api_s: float = 0.0
    late_s: float = 0.0
    heartbeat_s: int | None = None
    calls: tuple[HeatCall, ...]
    stacks: tuple[Entry, ...] = ()
    after: Shares | None = None
    most_deliveries: int = 1
    unmarked: int = 0
    incomplete: str | None = None

    def sent(self, begin_ns: int, end_ns: int) -> tuple[HeatCall, ...]:
        """The calls that were sent in a span of time."""
        return tuple(c for c in self.calls if begin_ns <= c.sent_ns < end_ns)

    @property
    def during(self) -> tuple[HeatCall, ...]:
        """The calls that were sent while the fault was in force."""
        return self.sent(self.broken_ns, self.healing_ns)

    @property
    def answered_meanwhile(self) -> tuple[HeatCall, ...]:
        """The calls that were sent once the fault was complete, and answered before its end was begun."""
        sent = self.sent(self.settled_ns, self.healing_ns)
        return tuple(c for c in sent if c.ok and c.done_ns < self.healing_ns)

    @property
    def restarted(self) -> tuple[HeatCall, ...]:
        """Those of them that were answered by engines which had been started anew by then."""
        return tuple(c for c in self.answered_meanwhile if c.engine in self.returned)

    @property
    def latest_s(self) -> float:
        """Within how long an API without an engine answers: it gives up after the RPC timeout."""
        return self.rpc_timeout_s + self.api_s + GRAIN_S

    @property
    def what(self) -> str:
        """The broken parts, for a sentence."""
        return ", ".join(self.parts)


def counts(evidence: EngineTrial) -> dict[str, Figure]:
    """The figures that every trial has."""
    bad = [c for c in evidence.calls if not c.ok]
    return {
        "calls": len(evidence.calls),
        "calls_during": len(evidence.during),
        "failed_calls": len(bad),
        "longest_failed_s": round(max((c.took_s for c in bad), default=0.0), 2),
        "most_deliveries": evidence.most_deliveries,
        "recovery_s": round((evidence.healed_ns - evidence.healing_ns) / 1e9, 2)
        if evidence.healed_ns and not evidence.restarted
        else None,
    }


def doubts(evidence: EngineTrial) -> Iterator[str]:
    """Why the evidence cannot prove anything."""
    if evidence.incomplete:
        yield evidence.incomplete
    if not evidence.engines:
        yield f"the broker had no consumer of {evidence.what} before"
    if len(evidence.during) < FEWEST_CALLS:
        yield f"{len(evidence.during)} calls were sent during the fault, too few"


def unwell(evidence: EngineTrial) -> str | None:
    """Why the calls were not well before the fault, so that none can be laid to it; None where they were.

    Those of the last second before it may have been in flight when it came.
    """
    before = evidence.sent(0, evidence.broken_ns - int(GRAIN_S * 1e9))
    bad = [c for c in before if not c.ok and not c.was_with(evidence.engines)]
    if not bad:
        return None
    return (
        f"{len(bad)} of {len(before)} calls that were sent before the fault, to engines that were never "
        f"broken, failed too: {bad[0]}"
    )


def unbroken(evidence: EngineTrial) -> str | None:
    """Why it is not sure that the engines were stopped at all; None where it is.

    A command may end well and have stopped another unit. Who stops is a consumer no more; who is frozen may
    stay one for long, and shows by calls that are not answered.
    """
    if evidence.noticed_ns or not evidence.engines:
        return None
    return (
        f"nothing shows that {evidence.fault!r} of {evidence.what} did anything: the broker had its "
        "consumers all along"
    )


def unattributed(evidence: EngineTrial, until_ns: int = 0) -> list[HeatCall]:
    """Failed calls, in flight since the fault came and sent until its end, of which nobody knows whose.

    Without an answer of Heat's there is no request id to look for in the trace, and a trace with a hole may
    lack a delivery. They may have been the broken engine's: they prove nothing against the others.
    """
    return [
        c
        for c in evidence.calls
        if not c.ok
        and c.engine is None
        and (not c.request_id or evidence.incomplete)
        and c.done_ns > evidence.broken_ns
        and (not until_ns or c.sent_ns < until_ns)
    ]


def not_attributed(evidence: EngineTrial, calls: list[HeatCall]) -> Iterator[str]:
    """That these failed calls, if there are any, may be anybody's."""
    if calls:
        yield (
            f"{len(calls)} failed calls could not be attributed to an engine, for they bear no request id "
            f"of Heat's{_race(evidence)}: {calls[0]}"
        )


def wrong_anyway(evidence: EngineTrial) -> Iterator[str]:
    """What no fault excuses: no way back, messages handed out again and again."""
    if not evidence.healed_ns:
        yield f"{evidence.what} did not come back as a consumer of the queue"
    # Each broken consumer may have held a message once, and the one that answered it in the end.
    if evidence.most_deliveries > 1 + max(1, len(evidence.engines)):
        yield f"a message was delivered {evidence.most_deliveries} times"
    if evidence.unmarked:
        yield f"{evidence.unmarked} messages were delivered twice without being marked as redelivered"


def unclear(evidence: EngineTrial, bad: list[HeatCall]) -> Iterator[str]:
    """What of failed calls was no clear error in time. Every answer of Heat's bears a request id."""
    latest_s = evidence.latest_s
    for call in bad:
        if not call.status:
            yield f"no answer at all{_race(evidence)}: {call}"
        elif not call.request_id:
            yield f"an answer that is not Heat's{_race(evidence)}: {call}"
        elif call.took_s > latest_s + evidence.late_s:
            yield f"an answer later than {latest_s:.1f} s: {call}"


def stalled(evidence: EngineTrial, bad: list[HeatCall]) -> Iterator[str]:
    """Answers that were late by no more than the suite itself was: its machine may have stood still."""
    latest_s = evidence.latest_s
    late = [c for c in bad if latest_s < c.took_s <= latest_s + evidence.late_s and c.status]
    if late:
        yield (
            f"{len(late)} answers came later than {latest_s:.1f} s, but the suite itself was late by "
            f"{evidence.late_s:.1f} s: {late[0]}"
        )


def by_proxy(evidence: EngineTrial, call: HeatCall) -> bool:
    """Whether it was the proxy that ended a call: by an answer of its own, or as its timeout says."""
    if call.status:
        return not call.request_id
    cut_s = evidence.proxy_timeout_s
    return bool(_race(evidence)) and cut_s is not None and call.took_s > cut_s - GRAIN_S


def _race(evidence: EngineTrial) -> str:
    """What to do where the proxy cuts a call off before Heat can have answered; empty where it does not."""
    if evidence.proxy_timeout_s is None or evidence.proxy_timeout_s > evidence.latest_s:
        return ""
    return " (timeout server of the proxy must be longer than rpc_response_timeout)"


def noticed_s(evidence: EngineTrial) -> float | None:
    """How long the fault lasted until the broker gave the engine up; None where it did not."""
    if not evidence.noticed_ns:
        return None
    return round(max(0, evidence.noticed_ns - evidence.broken_ns) / 1e9, 2)
