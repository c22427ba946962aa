"""The same sources visit again while Locust loads the APIs."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from calorimeter.gates.affinity.locust_load import USERS, Background, background
from calorimeter.gates.affinity.persistence import Load, Persistence
from calorimeter.gates.clients.attribution import Attributed, Attribution, by_sessions, strongest
from calorimeter.gates.clients.visit_rounds import all_visits, described
from calorimeter.gates.clients.visiting import GIVE_UP, visit_all
from calorimeter.gates.clients.visits import Visit, Visits
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

PART = 5
"""Every fifth of the sources that visited without load visits again under it."""

LEAST = 50
ROUNDS = 3
PAUSE_S = 2.0
"""Between two rounds: the sources' visits shall lie apart in time."""


def persistence_under_load(context: Context) -> Persistence:
    """Visits without load (those of S1) and under it; `EvidenceUnavailable` where there is no load."""
    return context.once("persistence", lambda: _persistence(context))


def _persistence(context: Context) -> Persistence:
    _ = context.identity
    quiet = all_visits(context)
    stats = proxy_stats_if_visible(context.deployment)
    with strongest(context, context.api("rest"), stats) as way:
        if way.evidence == "counters":
            raise EvidenceUnavailable(
                str(context.deployment.path),
                f"{'; '.join(way.passed_over)}; counters tell nothing under load",
            )
        context.say("Locust loads the APIs")
        with background(context.deployment) as load:
            load.await_begin()
            context.say("the sources visit again, under that load")
            loaded = _rounds(context, way, quiet.apis, load)
            status = load.await_end()
            visits = tuple(_whole(context, way, one, *loaded[one.api]) for one in quiet.apis)
            sent = load.sent_ns()
    moments = [visit.sent_ns for one in visits for visit in one.visits]
    meanwhile = sum(min(moments) <= at <= max(moments) for at in sent)
    seconds = (max(moments) - min(moments)) / 1e9
    return Persistence(
        quiet=quiet.apis,
        loaded=visits,
        load=Load(
            users=USERS, status=status, requests=len(sent), requests_meanwhile=meanwhile, seconds=seconds
        ),
    )


Round = tuple[list[Visit], int | None, Attributed | None]
"""The visits to one API so far, the connections that had ended before, and what sessions told."""


def _rounds(
    context: Context, way: Attribution, quiet: Sequence[Visits], load: Background
) -> dict[str, Round]:
    """Some rounds of visits to each API, as long as the load runs."""
    if way.log is not None:
        way.log.forget()
    ended = {one.api: proxy_polling.ended(way.stats, one.section) for one in quiet}
    made: dict[str, list[Visit]] = {one.api: [] for one in quiet}
    clients: dict[str, defaultdict[str, Counter[str]]] = {one.api: defaultdict(Counter) for one in quiet}
    tls = context.deployment.tls
    for number in range(ROUNDS):
        for one in quiet:
            api = context.api(one.api)
            who = _again(one)
            if way.log is not None:
                made[one.api] += visit_all(api, who, 1, tls, give_up=GIVE_UP)
            else:
                found = by_sessions(tls, api, who, 1, way.stats, GIVE_UP)
                made[one.api] += found.visits
                for client, servers in found.clients.items():
                    clients[one.api][client].update(servers)
        if number + 1 == ROUNDS or not load.running:
            break
        time.sleep(PAUSE_S)
    told = {api: {client: dict(n) for client, n in seen.items()} for api, seen in clients.items()}
    return {
        name: (visits, ended[name], None if way.log else Attributed(tuple(visits), (), told[name]))
        for name, visits in made.items()
    }


def _again(quiet: Visits) -> list[str]:
    """The sources that visit again: a fifth, but not too few."""
    everybody = list(dict.fromkeys(visit.source for visit in quiet.visits if visit.source))
    return everybody[: max(len(everybody) // PART, LEAST)]


def _whole(
    context: Context,
    way: Attribution,
    quiet: Visits,
    made: list[Visit],
    ended: int | None,
    told: Attributed | None,
) -> Visits:
    """The visits to one API under load with their servers, once all connections of the load are closed."""
    found = told
    if found is None:
        assert way.log is not None
        found = way.log.attributed(context.api(quiet.api), made, ended)
    return Visits(
        api=quiet.api,
        section=quiet.section,
        servers=quiet.servers,
        visits=found.visits,
        logs=found.logs,
        evidence=way.evidence,
        passed_over=way.passed_over + found.passed_over,
        described=described(context.deployment.expect),
        before=quiet.before,
        after=proxy_polling.servers(way.stats, quiet.section),
        clients=found.clients,
        told=found.told,
        backends=quiet.backends,
        placed=quiet.placed,
    )
