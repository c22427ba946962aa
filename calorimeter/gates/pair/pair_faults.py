"""The experiment of V1 and V2: something of the proxy that has the virtual address breaks, and is healed,
while clients go on sending requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

from calorimeter.core import detection_bounds, vrrp
from calorimeter.core.deployment import Proxy
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.waiting import poll
from calorimeter.gates.clients.visit_rounds import apis
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out
from calorimeter.gates.health.fault_rig import fault_sources
from calorimeter.gates.health.probes import Probes
from calorimeter.gates.pair.pair_trial import Holding, PairFault, PairTrial, PairTrials
from calorimeter.gates.pair.proxies_serving import ServedCounters, address_commands, holdings, parts_of

DIES = (("proxy", "kill"), ("proxy", "freeze"), ("host", "kill"), ("host", "unreachable"))
"""The faults of V1: kind of the part, and the fault; each for which the owner gave commands is injected."""

BASELINE_S = 1.5
"""How long clients are served before a fault, and after what is awaited."""

LATE_S = 3.0
"""How long beyond its bound a move is awaited: it is a FAIL by then, and its figure is worth having."""

POLLED_WITHIN_S = 0.5
"""A poll that is on its way to a dead host is given up early: the next one sees that the host is back."""

UNKNOWN_BOUND_S = 15.0
READY_S = 60.0
"""Time for a healed proxy to have all its servers UP again."""


def why_no_pair(context: Context) -> str:
    """Why no address moves between proxies; empty if one does."""
    proxies = context.deployment.proxy
    if len(proxies) < 2:
        return f"there is no pair of proxies: {context.deployment.path.name} describes {len(proxies)}"
    if not any(proxy.vrrp for proxy in proxies):
        return f"no [proxy.vrrp] says that the {len(proxies)} proxies share an address"
    return ""


@shared
def takeovers(context: Context) -> PairTrials:
    """A trial of each fault of `DIES` that the owner gave commands for.

    Raises EvidenceUnavailable if there are none, or if the proxies' counters cannot be read.
    """
    proxies = tuple(proxy.name for proxy in context.deployment.proxy)
    if lacks := why_no_pair(context):
        return PairTrials(proxies=proxies, lacks=lacks)
    able = [each for each in DIES if all(_commands(context, proxy, *each) for proxy in proxies)]
    if not able:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            "[[parts]] has no commands that kill the proxies, or their hosts (`proxy` of a part of kind "
            "host), and heal them",
        )
    return PairTrials(proxies=proxies, trials=tuple(_takeover(context, *each) for each in able))


def _commands(context: Context, proxy: str, kind: str, fault: str) -> FaultCommands | None:
    found = (commands(part, fault) for part in parts_of(context.deployment, proxy, kind))
    return next((each for each in found if each), None)


def _takeover(context: Context, kind: str, fault: str) -> PairTrial:
    with PairRig(context) as rig:
        rig.settle()
        holder = rig.holder()
        given = _commands(context, holder, kind, fault)
        assert given is not None
        rig.inject(holder, kind, given)
        rig.await_move(holder)
        rig.heal(given)
        rig.await_return(holder)
        return rig.trial(holder)


class PairRig:
    """Clients of the virtual address, the counters of all proxies, and the commands for one fault; when it
    is left, the fault is healed."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._proxies = {proxy.name: proxy for proxy in context.proxies}
        self._apis = apis(context)
        sections = [api.proxy_section for api in self._apis.values()]
        self._stats = {stats.name: stats for stats in proxy_stats(context.deployment)}
        self._counters = {
            name: ServedCounters(ProxyStats(context.deployment, proxy, POLLED_WITHIN_S), sections)
            for name, proxy in self._proxies.items()
        }
        self._addresses = address_commands(context.deployment)
        self._holding: list[Holding] = []
        self._fault: PairFault | None = None
        self._quiet_ns = 0
        self.probes = Probes(
            self._apis,
            {name: fault_sources(context, api) for name, api in self._apis.items()},
            0,
            {},
            context.deployment.tls,
            context.deployment.expect.longest_wait_s + 5,
        )
        self._stack = ExitStack()

    def __enter__(self) -> PairRig:
        with self._stack:
            self._stack.callback(self.context.injector.heal_all)
            for counters in self._counters.values():
                self._stack.enter_context(counters)
            self._stack.callback(self.probes.stop, 0.0)
            self.began_ns = time.time_ns()
            self.probes.start()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def settle(self) -> None:
        """Watch while nothing is broken, and ask which hosts have the address."""
        time.sleep(BASELINE_S)  # the time in which a second holder would serve clients, too
        self._holding += holdings(self._addresses, self._apis["rest"].front.host)

    def holder(self) -> str:
        """The proxy that has served most clients so far.

        Raises EvidenceUnavailable if no proxy counted a client.
        """
        counts = {name: sum(s.connections for s in c.served) for name, c in self._counters.items()}
        holder = max(counts, key=counts.__getitem__)
        if not counts[holder]:
            raise EvidenceUnavailable(
                str(self._apis["rest"].front), "no proxy counted a connection of the clients that use it"
            )
        return holder

    def inject(self, holder: str, kind: str, given: FaultCommands) -> None:
        """Inject the fault into a part of the holder."""
        self.context.say(f"{given.part} {given.fault}: {holder} has the address")
        done = carried_out(self.context.injector.inject, given)
        self._fault = PairFault(
            kind=kind, part=given.part, fault=given.fault, at_ns=done.at_ns or done.began_ns,
            ended_ns=done.ended_ns,
        )  # fmt: skip

    def heal(self, given: FaultCommands) -> None:
        """Heal the fault."""
        assert self._fault is not None
        self.context.say(f"healing {given.part} {given.fault}")
        began_ns = time.time_ns()
        done = carried_out(self.context.injector.heal, given)
        self._fault = self._fault.model_copy(
            update={"heal_began_ns": done.at_ns or began_ns, "healed_ns": done.ended_ns}
        )

    def await_move(self, holder: str) -> None:
        """Wait until another proxy serves the clients, and watch for a while then."""
        assert self._fault is not None
        since_ns = self._fault.ended_ns
        poll(
            lambda: any(a.ok and a.sent_ns > since_ns for a in reversed(self.probes.attempts[-200:])),
            self._bound_s(holder) + LATE_S,
            every_s=0.02,
        )
        time.sleep(BASELINE_S)

    def _bound_s(self, holder: str) -> float:
        assert self._fault is not None
        mine = self._proxies[holder].vrrp
        others = [other.vrrp for other in self._others(holder) if other.vrrp is not None]
        bound_s = vrrp.slowest_move_s(mine, others, self._fault.of_proxy) if mine is not None else None
        if bound_s is None:
            return self.context.deployment.expect.max_failover_s or UNKNOWN_BOUND_S
        return bound_s

    def _others(self, holder: str) -> Iterator[Proxy]:
        return (proxy for name, proxy in self._proxies.items() if name != holder)

    def await_return(self, holder: str) -> None:
        """Watch until a healed proxy could have taken the address back, and all its servers are UP."""
        settings, checks = self._proxies[holder].vrrp, self._proxies[holder].checks
        recovery_s = detection_bounds.recovery_s(checks, "unreachable") if checks else 0.0
        watch_s = max(vrrp.returns_s(settings) if settings else UNKNOWN_BOUND_S, recovery_s)
        time.sleep(watch_s)  # whether the address moves in this time is what is measured
        poll(lambda: self._all_up(holder), READY_S, every_s=0.1)
        self._quiet_ns = time.time_ns()
        self.settle()

    def _all_up(self, proxy: str) -> bool:
        sections = {api.proxy_section for api in self._apis.values()}
        try:
            rows = [row for row in self._stats[proxy].show_stat() if row.section in sections]
        except EvidenceUnavailable:
            return False
        servers = [row.status for row in rows if row.kind == "server"]
        return bool(servers) and all(status.startswith(("UP", "no check")) for status in servers)

    def trial(self, holder: str) -> PairTrial:
        """Stop the clients and return the evidence."""
        assert self._fault is not None
        self.probes.stop(BASELINE_S)
        for counters in self._counters.values():
            counters.check()
        signs = [s for counters in self._counters.values() for s in counters.served]
        return PairTrial(
            holder=holder,
            others=tuple(proxy.name for proxy in self._others(holder)),
            vrrp={name: proxy.vrrp for name, proxy in self._proxies.items() if proxy.vrrp},
            fault=self._fault,
            began_ns=self.began_ns,
            quiet_ns=self._quiet_ns,
            ended_ns=time.time_ns(),
            served=tuple(sorted(signs, key=lambda sign: sign.seen_ns)),
            holding=tuple(self._holding),
            attempts=tuple(sorted(self.probes.attempts, key=lambda attempt: attempt.sent_ns)),
            checks=self._proxies[holder].checks,
            max_failover_s=self.context.deployment.expect.max_failover_s,
        )
