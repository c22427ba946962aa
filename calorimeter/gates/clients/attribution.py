"""Attribution: which server each connection was sent to. One class for each kind of evidence.

The proxies' logs are the strongest evidence: they name every connection, those of others included. The
table of live sessions names connections that are held open. Counters identify the server of one visit at a
time, and only if nobody else visits during it. `strongest` picks the first kind that works.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar, Self

from calorimeter.core.deployment import Api
from calorimeter.gates.clients.client_requests import ClientRequests, client_requests
from calorimeter.gates.clients.visiting import IN_FLIGHT, Sources, visit_all
from calorimeter.gates.clients.visits import EvidenceKind, LogCount, StateLine, Visit
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.proxy_log import LoggedConnection, plain
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

Clients = dict[str, dict[str, int]]
"""Client address → server (empty: none) → connections."""


class NobodyAnswers(EvidenceUnavailable):
    """The API's front address gives no answer."""


@dataclass(slots=True)
class Attributed:
    """Visits with their servers, and how complete the evidence is (fields as in `Visits`)."""

    visits: tuple[Visit, ...]
    logs: tuple[LogCount, ...] = ()
    clients: Clients = field(default_factory=dict)
    told: tuple[StateLine, ...] = ()
    passed_over: tuple[str, ...] = ()


class Attribution(ABC):
    """Attributes visits to servers by one kind of evidence.

    `start`, then any number of `visit`, then `attributed` for each API; `visits` does all three.
    `passed_over` says why stronger kinds were not used.
    """

    kind: ClassVar[EvidenceKind]
    works_under_load: ClassVar[bool] = True

    def __init__(self, context: Context, stats: Sequence[StatsSource]) -> None:
        self.context = context
        self.stats = stats
        self.passed_over: tuple[str, ...] = ()

    @classmethod
    @contextmanager
    def opened(cls, context: Context, stats: Sequence[StatsSource]) -> Iterator[Self]:
        """Open what this evidence is read from. Raises EvidenceUnavailable if there is nothing to open."""
        yield cls(context, stats)

    @abstractmethod
    def doubt(self, api: Api) -> str | None:
        """Why this evidence does not name the servers of connections; None if it does.

        Raises NobodyAnswers if the API does not answer: no other evidence can show more then.
        """

    def start(self, apis: Iterable[Api]) -> None:  # noqa: B027 - not all kinds remember anything
        """Disregard what the evidence has shown so far; visits to these APIs come next."""

    def visit(
        self, api: Api, sources: Sources, in_flight: int = IN_FLIGHT, give_up: int | None = None
    ) -> list[Visit]:
        """Visit an API (see `visit_all`) in the way that this evidence needs."""
        tls, requests = self.context.deployment.tls, self.requests(api)
        return visit_all(api, sources, tls, in_flight, give_up, requests)

    def requests(self, api: Api) -> ClientRequests:
        """What the clients of an API send."""
        name = "rest" if self.context.deployment.api("rest") == api else "cfn"
        return client_requests(self.context, name)

    def attributed(self, api: Api, visits: Sequence[Visit]) -> Attributed:
        """The visits made since `start`, with the servers that the evidence names by now."""
        return Attributed(tuple(visits), clients=counts_of_clients((v.source, v.server) for v in visits))

    def visits(
        self, api: Api, sources: Sources, in_flight: int = IN_FLIGHT, give_up: int | None = None
    ) -> Attributed:
        """Visit an API (see `visit_all`), and attribute the visits."""
        self.start([api])
        return self.attributed(api, self.visit(api, sources, in_flight, give_up))

    def lines(self, api: Api, wanted: int, within_s: float) -> list[LoggedConnection]:
        """The log lines of an API's section since `start`, after waiting for `wanted` of them.

        Empty if this evidence has no lines.
        """
        return []


def counts_of_clients(connections: Iterable[tuple[str, str | None]]) -> Clients:
    """How often each client was on each server; on an IPv6 listener an IPv4 client keeps its address."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for client, server in connections:
        counts[plain(client)][server or ""] += 1
    return {client: dict(servers) for client, servers in sorted(counts.items())}
