"""Calls while engines stop, crash, freeze, are all gone, and return: the evidence of E5 to E9."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.engines.equal_shares import QueueShares
from calorimeter.gates.engines.struck_engines import ProcessSizes, listed, why_not_as_many

FEWEST_CALLS = 10

GRAIN_S = 1.0
"""Resolution of the timers between client and API: those of HAProxy and the API count in seconds."""


class EngineTrial(Model):
    """Evidence of E5 to E9: a stream of calls, while engines had a fault from `broken_ns` to `healed_ns`.

    Times are ns since the epoch. `broken_ns` is when the fault took effect, `settled_ns` when its command
    ended, `noticed_ns` when the broker no longer had the broken engines' consumers (0: never).
    `healing_ns` is when the command that ends the fault began, `healed_ns` when the broker had all
    consumers again (0: not in time), `first_ns` the first delivery to a healed engine (0: none).

    `parts` are those whose commands were run, one for each engine. `engines` names the consumers that the
    fault struck: they went away, or fell silent (a freeze), before the healing began. `sizes` maps each
    host on which that may happen to the number of consumers of each of its engine processes. `returned`
    names the consumers of the engines that were restarted.

    `api_s` is the longest time of a call before the fault, or at any time of a request that the API refuses
    on its own: what API and proxy add to the RPC timeout. `late_s` is the suite's own
    largest delay with a call, `heartbeat_s` the broken engines' AMQP heartbeat (None: none).
    """

    fault: str
    parts: tuple[str, ...]
    engines: tuple[str, ...]
    sizes: ProcessSizes
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
    stacks: tuple[StackRecord, ...] = ()
    after: QueueShares | None = None
    most_deliveries: int = 1
    unmarked: int = 0
    incomplete: str | None = None

    def sent(self, begin_ns: int, end_ns: int) -> tuple[HeatCall, ...]:
        """The calls sent from `begin_ns` until before `end_ns`."""
        return tuple(c for c in self.calls if begin_ns <= c.sent_ns < end_ns)

    @property
    def sent_during(self) -> tuple[HeatCall, ...]:
        """The calls sent during the fault."""
        return self.sent(self.broken_ns, self.healing_ns)

    @property
    def answered_during(self) -> tuple[HeatCall, ...]:
        """The calls sent after the fault's command ended and answered before the fault's end began."""
        sent = self.sent(self.settled_ns, self.healing_ns)
        return tuple(c for c in sent if c.ok and c.done_ns < self.healing_ns)

    @property
    def answered_by_restarted(self) -> tuple[HeatCall, ...]:
        """Those of `answered_during` that were answered by engines restarted by then."""
        return tuple(c for c in self.answered_during if c.engine in self.returned)

    @property
    def error_deadline_s(self) -> float:
        """Seconds after which an API without an engine must have answered with an error."""
        return self.rpc_timeout_s + self.api_s + GRAIN_S

    @property
    def part_names(self) -> str:
        """The broken parts, for a sentence."""
        return ", ".join(self.parts)

    @property
    def named(self) -> str:
        """The broken parts with the processes that their fault struck, for a sentence."""
        return f"{self.part_names} ({listed(self.engines)})" if self.engines else self.part_names

    @property
    def noticed_s(self) -> float | None:
        """Seconds from the fault until the broker dropped the engine's consumers; None if it never did."""
        if not self.noticed_ns:
            return None
        return round(max(0, self.noticed_ns - self.broken_ns) / 1e9, 2)

    def common_figures(self) -> dict[str, Figure]:
        """The figures of every trial."""
        bad = [c for c in self.calls if not c.ok]
        return {
            "calls": len(self.calls),
            "calls_during": len(self.sent_during),
            "failed_calls": len(bad),
            "longest_failed_s": round(max((c.took_s for c in bad), default=0.0), 2),
            "most_deliveries": self.most_deliveries,
            "recovery_s": round((self.healed_ns - self.healing_ns) / 1e9, 2)
            if self.healed_ns and not self.answered_by_restarted
            else None,
        }

    def gaps(self) -> Iterator[str]:
        """The reasons why the evidence cannot prove anything."""
        if self.incomplete:
            yield self.incomplete
        if not self.engines:
            yield f"{self.fault!r} of {self.part_names} made no consumer go away or fall silent"
        if len(self.sent_during) < FEWEST_CALLS:
            yield (
                f"{len(self.sent_during)} calls were sent during the fault, at least {FEWEST_CALLS} are "
                "needed"
            )

    def failures_before(self) -> str | None:
        """Why the fault cannot be blamed: calls to other engines failed before it. None if they did not.

        Calls of the last second before the fault may have been in flight when it took effect: they do not
        count.
        """
        before = self.sent(0, self.broken_ns - int(GRAIN_S * 1e9))
        bad = [c for c in before if not c.ok and not c.was_with(self.engines)]
        if not bad:
            return None
        return (
            f"{len(bad)} of {len(before)} calls sent before the fault, to engines that were never "
            f"broken, failed as well: {bad[0]}"
        )

    def why_not_broken(self) -> str | None:
        """Why it is uncertain that the command stopped one engine for each part, and only these.

        None if the broker dropped as many engines. A command may succeed and have stopped another unit. A
        frozen engine may keep its consumers for long, and is recognized by calls without an answer.
        """
        if self.noticed_ns or self.engines:
            return self.why_not_as_many()
        return (
            f"nothing shows that {self.fault!r} of {self.part_names} had an effect: the broker kept "
            "listing its consumers"
        )

    def why_not_as_many(self) -> str | None:
        """Why the fault struck more or fewer engines than it was to; None if it did not, or struck none."""
        return why_not_as_many(self.fault, self.parts, self.engines, self.sizes) if self.engines else None

    def unattributed(self, until_ns: int = 0) -> list[HeatCall]:
        """Failed calls in flight since the fault, and sent before `until_ns`, whose engine is unknown.

        A call without an answer of Heat's has no request id to find in the trace, and an incomplete trace
        may lack its delivery. It may have been at the broken engine, so it proves nothing against the
        others.
        """
        return [
            c
            for c in self.calls
            if not c.ok
            and c.engine is None
            and (not c.request_id or self.incomplete)
            and c.done_ns > self.broken_ns
            and (not until_ns or c.sent_ns < until_ns)
        ]

    def unattributed_gap(self, calls: list[HeatCall]) -> Iterator[str]:
        """The gap that these unattributed calls leave, if there are any."""
        if calls:
            yield (
                f"{len(calls)} failed calls could not be attributed to an engine, because they have no "
                f"request id from Heat{self._timeout_hint()}: {calls[0]}"
            )

    def never_excused(self) -> Iterator[str]:
        """Findings that no fault excuses: engines that do not return, messages delivered too often."""
        if not self.healed_ns:
            yield f"{self.part_names} did not return as a consumer of the queue"
        # Each broken consumer may have held a message once, before the one that answered it.
        if self.most_deliveries > 1 + max(1, len(self.engines)):
            yield f"a message was delivered {self.most_deliveries} times"
        if self.unmarked:
            yield f"{self.unmarked} messages were delivered twice without being marked as redelivered"

    def unclear_errors(self, bad: list[HeatCall]) -> Iterator[str]:
        """The failed calls that got no clear error in time. Every answer of Heat's has a request id."""
        deadline_s = self.error_deadline_s
        for call in bad:
            if not call.status:
                yield f"no answer at all{self._timeout_hint()}: {call}"
            elif not call.request_id:
                yield f"an answer that did not come from Heat{self._timeout_hint()}: {call}"
            elif call.took_s > deadline_s + self.late_s:
                yield f"an answer later than {deadline_s:.1f} s: {call}"

    def late_like_the_suite(self, bad: list[HeatCall]) -> Iterator[str]:
        """The gap left by answers that were late by no more than the suite itself."""
        deadline_s = self.error_deadline_s
        late = [c for c in bad if deadline_s < c.took_s <= deadline_s + self.late_s and c.status]
        if late:
            yield (
                f"{len(late)} answers came later than {deadline_s:.1f} s, but the suite itself was late by "
                f"{self.late_s:.1f} s: {late[0]}"
            )

    def ended_by_proxy(self, call: HeatCall) -> bool:
        """Whether the proxy ended a call: with an answer of its own, or by its timeout."""
        if call.status:
            return not call.request_id
        cut_s = self.proxy_timeout_s
        return bool(self._timeout_hint()) and cut_s is not None and call.took_s > cut_s - GRAIN_S

    def _timeout_hint(self) -> str:
        """Advice, if the proxy's timeout ends calls before Heat can have answered; else empty."""
        if self.proxy_timeout_s is None or self.proxy_timeout_s > self.error_deadline_s:
            return ""
        return " (timeout server of the proxy must be longer than rpc_response_timeout)"
