"""Rounds of visits from many sources, attributed by the strongest evidence that works."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle, islice

from calorimeter.core.balance_policy import Policy
from calorimeter.core.deployment import Api
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.clients.attribution import Attributed, Attribution, NobodyAnswers
from calorimeter.gates.clients.held_visits import held_visits
from calorimeter.gates.clients.kept_clients import kept_clients
from calorimeter.gates.clients.log_attribution import LogAttribution
from calorimeter.gates.clients.lost_lines import unseen
from calorimeter.gates.clients.sources import addresses, check_bindable
from calorimeter.gates.clients.stats_attribution import CounterAttribution, SessionAttribution
from calorimeter.gates.clients.visiting import GIVE_UP, IN_FLIGHT, Sources
from calorimeter.gates.clients.visits import AllVisits, ExpectedBalance, Visit, Visits
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

KINDS: tuple[type[Attribution], ...] = (LogAttribution, SessionAttribution, CounterAttribution)
"""The strongest first; a further kind of evidence is one more class here."""

MOST_TURNS = 600
"""Visits of a round that are made one at a time: a share that is off by 0.2 to 0.3 % shows."""

HELD_EACH = 20
"""Connections that are held for each backend, where `leastconn` is wanted."""

HELD_MOST = 200
ENDED_WITHIN_S = 2.0

AGAIN_ROUNDS = 25
"""Rounds in which sources visit again that the evidence lost. With 60 % of the lines lost, 1 source in
300,000 is left."""

AGAIN_TIMES = 4
"""Visits that are made again, at most, as a multiple of those that were planned."""


@contextmanager
def strongest(context: Context, api: Api, stats: Sequence[StatsSource]) -> Iterator[Attribution]:
    """Open the strongest evidence that a first visit shows to work, until the context ends.

    Raises NobodyAnswers if the API does not answer, and EvidenceUnavailable if no evidence works.
    """
    passed_over: list[str] = []
    for kind in KINDS:
        with ExitStack() as opened:
            try:
                attribution = opened.enter_context(kind.opened(context, stats))
                doubt = attribution.doubt(api)
            except NobodyAnswers:
                raise
            except EvidenceUnavailable as problem:
                doubt = f"{problem.where}: {problem.why}"
            if doubt is None:
                attribution.passed_over = tuple(passed_over)
                yield attribution
                return
        passed_over.append(doubt)
    raise EvidenceUnavailable(str(context.deployment.path), "; ".join(passed_over))


@shared
def visits(context: Context, api_name: str) -> Visits:
    """Let the context's sources visit an API (`rest` or `cfn`), and attribute each visit.

    Raises EvidenceUnavailable if the API or the proxy is not described, or no evidence names servers.
    """
    api = context.api(api_name)
    clients = sources(context, api)
    stats = proxy_stats_if_visible(context.deployment)
    with strongest(context, api, stats) as attribution:
        found = round_of_visits(
            context, api_name, attribution, clients, context.strength("visits"), give_up=GIVE_UP
        )
        kept = kept_clients(attribution, api, clients)
        after = proxy_polling.servers(attribution.stats, api.proxy_section)
        return found.model_copy(update={"kept": kept, "after": after})


def all_visits(context: Context) -> AllVisits:
    """The visits to all APIs of the deployment."""
    return AllVisits(apis=tuple(visits(context, name) for name in apis(context)))


def apis(context: Context) -> dict[str, Api]:
    """The APIs that the deployment has: `rest`, `cfn` or both."""
    return {name: api for name in ("rest", "cfn") if (api := context.deployment.api(name)) is not None}


def round_of_visits(
    context: Context,
    api_name: str,
    attribution: Attribution,
    clients: Sources,
    times: int,
    in_flight: int = IN_FLIGHT,
    give_up: int | None = None,
) -> Visits:
    """Each source visits `times` times, in rounds, between two readings of the section's servers.

    `in_flight` visits at a time, or one at a time where the wanted policy depends on other connections.
    """
    api = context.api(api_name)
    context.say(f"{len(clients)} sources visit {api_name}" + (f", {times} times" if times > 1 else ""))
    start = described_section(context, api_name, attribution.stats)
    policy = start.described.policy
    counted = proxy_polling.chosen(attribution.stats, api.proxy_section)
    attribution.start([api])
    wanted = list(clients) * times
    if policy.one_at_a_time:
        wanted, in_flight = wanted[:MOST_TURNS], 1
    made = _held(context, api, attribution, clients) if policy is Policy.FEWEST else None
    held = made is not None
    if made is None:
        made = attribution.visit(api, wanted, in_flight, give_up)
    if policy.one_at_a_time:
        found, again = attribution.attributed(api, made), 0
    else:
        found, again = seen_again(context, api, attribution, made, in_flight)
    return finished(start, attribution, found).model_copy(
        update={
            "planned": len(made) if held else len(wanted),
            "asked_again": again,
            "held": held,
            "counted": counted_since(attribution.stats, api, counted),
        }
    )


def _held(context: Context, api: Api, attribution: Attribution, clients: Sources) -> list[Visit] | None:
    """Visits on connections that are held; None where such connections occupy no server or show none."""
    rows = proxy_polling.server_rows(attribution.stats, api.proxy_section)
    if attribution.kind != "log" or {row.mode for row in rows} != {"tcp"}:
        return None
    with suppress(DeadlineError):  # earlier connections of ours are still ending
        until(lambda: not any(_busy(attribution.stats, api)), ENDED_WITHIN_S)
    number = min(HELD_EACH * len(api.backends), HELD_MOST)
    return held_visits(api, [*islice(cycle(clients), number)], context.deployment.tls)


def _busy(stats: Sequence[StatsSource], api: Api) -> list[int]:
    return [row.scur or 0 for row in proxy_polling.server_rows(stats, api.proxy_section)]


def counted_since(stats: Sequence[StatsSource], api: Api, before: Counter[str]) -> dict[str, int] | None:
    """Server → sessions of all clients that the proxies counted since `before`; None without a source."""
    if not stats:
        return None
    after = proxy_polling.chosen(stats, api.proxy_section)
    return {server: count - before[server] for server, count in after.items()}


def seen_again(
    context: Context, api: Api, attribution: Attribution, made: Sequence[Visit], in_flight: int = IN_FLIGHT
) -> tuple[Attributed, int]:
    """Visits that were made, attributed; then more visits of those sources that the evidence lost.

    Each answered visit without a server is made again, until its source is seen or `AGAIN_ROUNDS` are over.
    Nothing is made again if no visit at all could be attributed: more of them would show no more. Returns
    all visits, and how many of them, the last ones, were made again.
    """
    visits = list(made)
    most = len(visits) * (1 + AGAIN_TIMES)
    found = attribution.attributed(api, visits)
    for _ in range(AGAIN_ROUNDS):
        lost = unseen(found.visits)
        if not lost or len(lost) == len(found.visits) or len(visits) + len(lost) > most:
            break
        context.say(f"{len(lost)} visits left no trace: their sources visit again")
        visits += attribution.visit(api, [visit.source for visit in lost], in_flight)
        found = attribution.attributed(api, visits)
    return found, len(visits) - len(made)


def described_section(context: Context, api_name: str, stats: Sequence[StatsSource]) -> Visits:
    """What is known of an API's section before its visits."""
    api, wanted = context.api(api_name), context.deployment.expect.of(api_name)
    return Visits(
        api=api_name,
        section=api.proxy_section,
        servers=tuple(backend.name for backend in api.backends),
        visits=(),
        described=ExpectedBalance(
            balance=wanted.balance,
            stick_on=wanted.stick_on,
            hash_type=wanted.hash_type,
            weights=wanted.weights,
        ),
        before=proxy_polling.servers(stats, api.proxy_section),
        backends=proxy_polling.resolved(api),
        placed=proxy_polling.placed(stats, api.proxy_section),
        haproxy=proxy_polling.version(stats)
        or next((proxy.version for proxy in context.deployment.proxy), None),
    )


def finished(earlier: Visits, attribution: Attribution, found: Attributed) -> Visits:
    """The visits that were found, in place of `earlier` ones to the same section, which is read again."""
    return earlier.model_copy(
        update={
            "visits": found.visits,
            "logs": found.logs,
            "evidence": attribution.kind,
            "passed_over": attribution.passed_over + found.passed_over,
            "after": proxy_polling.servers(attribution.stats, earlier.section),
            "clients": found.clients,
            "told": found.told,
            "planned": None,
        }
    )


def sources(context: Context, api: Api) -> Sources:
    """The addresses that visit: those of `[clients]`, or the one that the operating system picks."""
    family = socket.AF_INET6 if ":" in api.front.host else socket.AF_INET
    found = addresses(context.deployment.clients.sources, context.strength("sources"), family=family)
    for address in found[:1] + found[-1:]:
        check_bindable(address)
    return found or [None]
