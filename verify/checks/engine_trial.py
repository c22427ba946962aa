"""What happens to calls while engines stop, crash, freeze, are all gone, and come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain

from calorimeter.toml import Model
from calorimeter.verdict import Figure, Judgement, Outcome, failed, inconclusive, passed
from verify.checks.calls import HeatCall
from verify.checks.ledger import Entry
from verify.checks.shares import Shares, equal_shares

FEWEST_CALLS = 10

GRAIN_S = 1.0
"""Grain of the timers between client and API: HAProxy's and the API's own clocks are seconds wide."""


class EngineTrial(Model):
    """Evidence of E5 to E9: a stream of calls, while engines had a fault from `broken_ns` to `healed_ns`.

    Times are ns since the epoch. `broken_ns` is when the fault took effect, `settled_ns` when its command
    ended; `healing_ns` is when the command that brings the engines back began, `healed_ns` when the broker
    had all consumers again (0: not in time). `engines` names the consumers of the broken ones;
    `noticed_ns` is when the broker no longer had them (0: it never noticed). `first_ns` is when a consumer
    of a healed engine had its first delivery (0: none). `api_s` is the longest that a call took before the
    fault: what the API and the proxy add to the RPC timeout.
    """

    fault: str
    parts: tuple[str, ...]
    engines: tuple[str, ...]
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
    def what(self) -> str:
        """The broken parts, for a sentence."""
        return ", ".join(self.parts)


def _figures(evidence: EngineTrial) -> dict[str, Figure]:
    bad = [c for c in evidence.calls if not c.ok]
    return {
        "calls": len(evidence.calls),
        "calls_during": len(evidence.during),
        "failed_calls": len(bad),
        "longest_failed_s": round(max((c.took_s for c in bad), default=0.0), 2),
        "most_deliveries": evidence.most_deliveries,
        "recovery_s": round((evidence.healed_ns - evidence.healing_ns) / 1e9, 2)
        if evidence.healed_ns
        else None,
    }


def _doubts(evidence: EngineTrial) -> Iterator[str]:
    if evidence.incomplete:
        yield evidence.incomplete
    if not evidence.engines:
        yield f"the broker had no consumer of {evidence.what} before"
    if len(evidence.during) < FEWEST_CALLS:
        yield f"{len(evidence.during)} calls were sent during the fault, too few"


def _unwell(evidence: EngineTrial) -> str | None:
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


def _unattributed(evidence: EngineTrial, until_ns: int = 0) -> list[HeatCall]:
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


def _unknown(evidence: EngineTrial, calls: list[HeatCall]) -> Iterator[str]:
    if calls:
        yield (
            f"{len(calls)} failed calls could not be attributed to an engine, for they bear no request id "
            f"of Heat's{_race(evidence)}: {calls[0]}"
        )


def _wrong_anyway(evidence: EngineTrial) -> Iterator[str]:
    """What no fault excuses: no way back, messages handed out again and again."""
    if not evidence.healed_ns:
        yield f"{evidence.what} did not come back as a consumer of the queue"
    # Each broken consumer may have held a message once, and the one that answered it in the end.
    if evidence.most_deliveries > 1 + max(1, len(evidence.engines)):
        yield f"a message was delivered {evidence.most_deliveries} times"
    if evidence.unmarked:
        yield f"{evidence.unmarked} messages were delivered twice without being marked as redelivered"


def clean_stop_loses_nothing(evidence: EngineTrial) -> Judgement:
    """E9: whether every call and every stack survives an engine that is stopped cleanly."""
    figures = _figures(evidence) | {
        "stop_s": round((evidence.settled_ns - evidence.broken_ns) / 1e9, 2),
        "stacks": len(evidence.stacks),
    }
    if unwell := _unwell(evidence):
        return inconclusive(unwell, **figures)
    lost = [str(c) for c in evidence.calls if not c.ok]
    lost += [
        f"{e.name} ({e.create.request_id}) is {e.outcome or 'not listed'}"
        for e in evidence.stacks
        if e.accepted and e.outcome != "CREATE_COMPLETE"
    ]
    if lost or list(_wrong_anyway(evidence)):
        wrong = [*_wrong_anyway(evidence), *lost]
        return failed(f"a clean stop of {evidence.what} was not harmless: {wrong[0]}", wrong, **figures)
    if doubt := next(_doubts(evidence), None):
        return inconclusive(doubt, **figures)
    return passed(
        f"{evidence.what} was stopped within {figures['stop_s']} s, and none of {len(evidence.calls)} "
        f"calls and {len(evidence.stacks)} stacks was lost",
        **figures,
    )


def joins(evidence: EngineTrial) -> Judgement:
    """E5: whether an engine that joins gets its share, and how soon."""
    figures = _figures(evidence)
    if not evidence.healed_ns or not evidence.first_ns:
        return failed(f"{evidence.what} was started and got no call", (), **figures)
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
    figures = _figures(evidence)
    bad = [c for c in evidence.calls if not c.ok]
    lost = [c for c in bad if c.engine in evidence.engines and c.sent_ns <= evidence.settled_ns]
    unknown = _unattributed(evidence, evidence.healed_ns)
    figures |= {
        "lost_with_the_engine": len(lost),
        "unattributed": len(unknown),
        "noticed_s": _noticed(evidence),
        "calls_answered_during": sum(c.ok for c in evidence.during),
    }
    if unwell := _unwell(evidence):
        return inconclusive(unwell, **figures)
    wrong = list(_wrong_anyway(evidence))
    wrong += [f"not of the crashed engine: {c}" for c in bad if c not in lost and c not in unknown]
    if wrong:
        return failed(f"the crash of {evidence.what} cost more than it held: {wrong[0]}", wrong, **figures)
    if doubt := next(chain(_doubts(evidence), _unknown(evidence, unknown)), None):
        return inconclusive(doubt, **figures)
    return passed(
        f"{evidence.what} crashed; the others answered all {figures['calls_answered_during']} calls sent "
        f"afterwards, {len(lost)} calls that it had accepted were lost with it"
        + "".join(f" ({c.request_id})" for c in lost[:3]),
        **figures,
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
        self.unknown = _unattributed(evidence)

    def figures(self, evidence: EngineTrial) -> dict[str, Figure]:
        """What the freeze cost, in numbers."""
        share, during = len(self.during), len(evidence.during)
        return {
            "calls_to_the_frozen": share,
            "share_of_the_frozen": round(share / during, 3) if during else None,
            "handed_to_others": len(self.rescued),
            "unattributed": len(self.unknown),
            "frozen_s": round((evidence.healing_ns - evidence.broken_ns) / 1e9, 1),
            "noticed_s": _noticed(evidence),
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
        proxys = [c for c in self.unknown if c.sent_ns < evidence.healing_ns and _proxys(evidence, c)]
        yield from _unclear(evidence, [*self.failed, *proxys])


def freeze_costs_its_share(evidence: EngineTrial) -> Judgement:
    """E7: whether a frozen engine costs no more than its own share, and its callers get errors in time.

    The broker goes on handing it its share, for it cannot know: that is the guide's blind spot, so it is a
    figure and refutes nothing. What it costs others does. What it had been handed and not yet answered when
    it froze is its own, too. Thawed, it works off what it was handed meanwhile and answers new calls late:
    those are its share too, but it must answer in the end. Where the broker takes it out and hands its
    calls to others, they need not fail at all.
    """
    calls = _Frozen(evidence)
    figures = _figures(evidence) | calls.figures(evidence)
    if unwell := _unwell(evidence):
        return inconclusive(unwell, **figures)
    wrong = [*_wrong_anyway(evidence), *calls.wrong(evidence)]
    if wrong:
        return failed(f"frozen {evidence.what} cost more than its share: {wrong[0]}", wrong, **figures)
    if doubt := next(chain(_doubts(evidence), _unknown(evidence, calls.unknown)), None):
        return inconclusive(doubt, **figures)
    if not calls.failed and not (evidence.noticed_ns and calls.rescued):
        return inconclusive(f"no call to frozen {evidence.what} was seen to fail", **figures)
    noticed = (
        f"the broker took it out after {figures['noticed_s']} s and handed {len(calls.rescued)} of its "
        "calls to others"
        if evidence.noticed_ns
        else f"in {figures['frozen_s']} s nobody noticed"
    )
    return passed(
        f"frozen {evidence.what} went on getting {figures['share_of_the_frozen']:.0%} of the calls, "
        f"{len(calls.failed)} of which failed after {evidence.rpc_timeout_s:g} s; {noticed}; the others "
        "answered all of theirs",
        **figures,
    )


def errors_are_clear_and_service_returns(evidence: EngineTrial) -> Judgement:
    """E8: whether calls get clear errors in bounded time without engines, and answers with them.

    An API waits `rpc_response_timeout`; to that comes what it takes itself, the longest of the calls
    before the fault. A call that the proxy cut off or answered itself, in Heat's stead, got no clear error.
    """
    figures = _figures(evidence)
    wrong = list(_wrong_anyway(evidence))
    bad = [c for c in evidence.calls if not c.ok]
    wrong += list(_unclear(evidence, bad))
    back = [c for c in evidence.calls if c.sent_ns > evidence.healed_ns > 0]
    wrong += [f"after the engines were back: {c}" for c in back if not c.ok]
    statuses = Counter(c.status for c in bad)
    figures |= {
        "outage_s": round((evidence.healed_ns - evidence.broken_ns) / 1e9, 1)
        if evidence.healed_ns
        else None,
        "calls_after": len(back),
        **{f"answers_{status}": n for status, n in sorted(statuses.items())},
    }
    if wrong:
        return failed(f"without engines, or after: {wrong[0]}", wrong, **figures)
    if doubt := next(_doubts(evidence), None):
        return inconclusive(doubt, **figures)
    if not back or not bad:
        missing = "failed during the outage" if not bad else "was sent after it"
        return inconclusive(f"no call {missing}", **figures)
    return passed(
        f"without engines {len(bad)} calls got an error of Heat's after at most "
        f"{figures['longest_failed_s']} s; {figures['recovery_s']} s after their start began all were back "
        f"by themselves, and all {len(back)} calls since were answered",
        **figures,
    )


def _unclear(evidence: EngineTrial, bad: list[HeatCall]) -> Iterator[str]:
    """What of failed calls was no clear error in time. Every answer of Heat's bears a request id."""
    bound = evidence.rpc_timeout_s + evidence.api_s + GRAIN_S
    for call in bad:
        if not call.status:
            yield f"no answer at all{_race(evidence)}: {call}"
        elif not call.request_id:
            yield f"an answer that is not Heat's{_race(evidence)}: {call}"
        elif call.took_s > bound:
            yield f"an answer later than {bound:.1f} s: {call}"


def _proxys(evidence: EngineTrial, call: HeatCall) -> bool:
    """Whether it was the proxy that ended a call: by an answer of its own, or as its timeout says."""
    if call.status:
        return not call.request_id
    cut_s = evidence.proxy_timeout_s
    return bool(_race(evidence)) and cut_s is not None and call.took_s > cut_s - GRAIN_S


def _race(evidence: EngineTrial) -> str:
    """What to do where the proxy cuts a call off before Heat can have answered; empty where it does not."""
    bound = evidence.rpc_timeout_s + evidence.api_s + GRAIN_S
    if evidence.proxy_timeout_s is None or evidence.proxy_timeout_s > bound:
        return ""
    return " (timeout server of the proxy must be longer than rpc_response_timeout)"


def _noticed(evidence: EngineTrial) -> float | None:
    if not evidence.noticed_ns:
        return None
    return round(max(0, evidence.noticed_ns - evidence.broken_ns) / 1e9, 2)
