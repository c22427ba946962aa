"""The experiment of V3: sources visit through one proxy, the virtual address moves, they visit again."""

from __future__ import annotations

from collections.abc import Sequence

from calorimeter.core import vrrp
from calorimeter.core.faults.schedule import FaultCommands, commands
from calorimeter.core.waiting import poll
from calorimeter.gates.affinity.turns import has_home
from calorimeter.gates.clients.visit_rounds import (
    apis,
    described_section,
    round_of_visits,
    sources,
    strongest,
)
from calorimeter.gates.clients.visiting import visit_all
from calorimeter.gates.clients.visits import Visits
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.stats_sources import ProxyStats, proxy_stats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.healing import carried_out, healing
from calorimeter.gates.pair.pair_faults import LATE_S, READY_S, UNKNOWN_BOUND_S, why_no_pair
from calorimeter.gates.pair.pair_mapping import PairMapping, PairMappings
from calorimeter.gates.pair.proxies_serving import parts_of

MOVES = (
    ("keepalived", "stop"),
    ("proxy", "stop"),
    ("proxy", "kill"),
    ("host", "unreachable"),
    ("host", "kill"),
)
"""What moves the address, the gentlest first: kind of the part, and the fault."""

MOST_SOURCES = 200
"""With this many, a rate of moved sources above 1.5 % shows."""

ASKING = 10
"""Visits that show which proxy serves them."""


def pair_mappings(context: Context) -> PairMappings:
    """The visits of the same sources to all APIs through two proxies.

    Raises EvidenceUnavailable if there are no commands that move the address, or if it does not move.
    """
    if lacks := why_no_pair(context):
        return PairMappings(lacks=lacks)
    found = apis(context)
    stats = {each.name: each for each in proxy_stats(context.deployment)}
    names = list(stats)
    before = {name: _unvisited(context, name, (names[0], names[1]), stats) for name in found}
    homes = [name for name, mapping in before.items() if has_home(mapping.first)]
    if homes:
        before |= _through_both(context, homes, stats, before)
    return PairMappings(apis=tuple(before.values()))


def _unvisited(
    context: Context, api: str, proxies: tuple[str, str], stats: dict[str, ProxyStats]
) -> PairMapping:
    section = context.api(api).proxy_section
    nobody = described_section(context, api, [])
    return PairMapping(
        proxies=proxies,
        servers={name: proxy_polling.servers([each], section) or () for name, each in stats.items()},
        versions={name: proxy_polling.version([each]) for name, each in stats.items()},
        first=nobody,
        second=nobody,
    )


def _through_both(
    context: Context, names: Sequence[str], stats: dict[str, ProxyStats], before: dict[str, PairMapping]
) -> dict[str, PairMapping]:
    first = _serving(context, names[0], stats)
    given = _move(context, first)
    visits = {name: _visited(context, name, stats[first]) for name in names}
    tables = {name: _tables(context, name, stats) for name in names}
    with healing(context):
        context.say(f"{given.part} {given.fault}: the address leaves {first}")
        carried_out(context.injector.inject, given)
        others = {name: each for name, each in stats.items() if name != first}
        second = poll(lambda: _seen(context, names[0], others), _longest_s(context, first) + LATE_S)
        if second is None:
            raise EvidenceUnavailable(
                str(context.api(names[0]).front),
                f"{given.part} {given.fault} moved it to no other proxy (V1)",
            )
        again = {name: _visited(context, name, stats[second]) for name in names}
        carried_out(context.injector.heal, given)
        poll(lambda: all(map(_readable, stats.values())), READY_S)
    return {
        name: before[name].model_copy(
            update={
                "proxies": (first, second), "tables": tables[name],
                "first": visits[name], "second": again[name],
            }
        )
        for name in names
    }  # fmt: skip


def _move(context: Context, proxy: str) -> FaultCommands:
    parts = [(part, fault) for kind, fault in MOVES for part in parts_of(context.deployment, proxy, kind)]
    found = next((given for part, fault in parts if (given := commands(part, fault))), None)
    if found is None:
        raise EvidenceUnavailable(
            str(context.deployment.path),
            f"[[parts]] has no commands that take the address from {proxy}: to stop or kill the proxy, its "
            "keepalived or its host (`proxy` of the part names the proxy), and to heal that",
        )
    return found


def _visited(context: Context, api: str, stats: ProxyStats) -> Visits:
    clients = sources(context, context.api(api))[:MOST_SOURCES]
    with strongest(context, context.api(api), [stats]) as attribution:
        return round_of_visits(context, api, attribution, clients, 1)


def _serving(context: Context, api: str, stats: dict[str, ProxyStats]) -> str:
    found = _seen(context, api, stats)
    if found is None:
        raise EvidenceUnavailable(
            str(context.api(api).front), f"no proxy counted {ASKING} visits to it as its own"
        )
    return found


def _seen(context: Context, api: str, stats: dict[str, ProxyStats]) -> str | None:
    """The proxy that counts some visits that are made now; None if none of these counts all of them."""
    front = context.api(api)
    counted = {name: _sessions(each, front.proxy_section) for name, each in stats.items()}
    made = visit_all(front, [*sources(context, front)[:1]] * ASKING, context.deployment.tls, give_up=1)
    answered = sum(visit.served for visit in made)
    new = {name: _sessions(each, front.proxy_section) - counted[name] for name, each in stats.items()}
    return next((name for name, count in new.items() if count >= answered == ASKING), None)


def _sessions(stats: ProxyStats, section: str) -> int:
    try:
        return proxy_polling.sessions([stats], section) or 0
    except EvidenceUnavailable:
        return 0


def _readable(stats: ProxyStats) -> bool:
    try:
        return bool(stats.show_stat())
    except EvidenceUnavailable:
        return False


def _tables(context: Context, api: str, stats: dict[str, ProxyStats]) -> dict[str, int]:
    section = context.api(api).proxy_section
    found = {}
    for name, each in stats.items():
        try:
            tables = each.show_tables()
        except EvidenceUnavailable:  # a stats page shows none
            continue
        if section in tables:
            found[name] = tables[section]
    return found


def _longest_s(context: Context, holder: str) -> float:
    """The longest time until the address has moved from a proxy whose process was killed."""
    settings = {proxy.name: proxy.vrrp for proxy in context.proxies}
    mine = settings[holder]
    others = [other for name, other in settings.items() if other is not None and name != holder]
    bound_s = vrrp.slowest_move_s(mine, others, "kill") if mine is not None else None
    return UNKNOWN_BOUND_S if bound_s is None else bound_s
