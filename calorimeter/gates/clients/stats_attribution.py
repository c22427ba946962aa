"""Attribution by what a proxy shows of itself: its table of live sessions, or its servers' counters."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import ClassVar

from calorimeter.core import waiting
from calorimeter.core.deployment import Api
from calorimeter.gates.clients.attribution import Attributed, Attribution
from calorimeter.gates.clients.http_get import tls_context
from calorimeter.gates.clients.visiting import Sources, visit
from calorimeter.gates.clients.visits import EvidenceKind, Visit
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.proxy_log import plain

HELD = 100
"""Connections held open at a time for the table of live sessions."""

COUNTED_WITHIN_S = 1.0
"""Time for the proxy to count a visit that was answered."""


class SessionAttribution(Attribution):
    """The table of live sessions: connections are held open after their answer while it is read."""

    kind: ClassVar[EvidenceKind] = "sessions"
    _clients: defaultdict[str, defaultdict[str, Counter[str]]]

    def doubt(self, api: Api) -> str | None:
        """As `Attribution.doubt`, from one visit."""
        if not self.stats or not all(source.shows_sessions for source in self.stats):
            return "no stats socket shows live sessions"
        self.start([api])
        (first,) = self.visit(api, [None])
        return None if first.server else "the table of live sessions names no server after an answer"

    def start(self, apis: Iterable[Api]) -> None:
        """Disregard the sessions seen so far."""
        self._clients = defaultdict(lambda: defaultdict(Counter))

    def visit(
        self, api: Api, sources: Sources, in_flight: int = HELD, give_up: int | None = None
    ) -> list[Visit]:
        """As `Attribution.visit`; `HELD` connections at a time, or one, each batch attributed at once."""
        visits: list[Visit] = []
        tls = tls_context(api, self.context.deployment.tls)
        size = 1 if in_flight == 1 or self.requests(api).keeps_cookies else HELD
        for start in range(0, len(sources), size):
            visits += asyncio.run(self._batch(api, sources[start : start + size], tls))
            if _enough(visits, give_up):
                break
        return visits

    async def _batch(self, api: Api, sources: Sources, tls: ssl.SSLContext | None) -> list[Visit]:
        held = await asyncio.gather(
            *(visit(api, source, tls, self.requests(api), keep=True) for source in sources)
        )
        try:
            sessions = {
                (plain(session.client), session.client_port): session
                for source in self.stats
                for session in source.show_sess()
                if session.backend == api.proxy_section
            }
        finally:
            for _, connection in held:
                connection.close()
        for shown in sessions.values():
            self._clients[api.proxy_section][plain(shown.client)][shown.server or ""] += 1
        visits = []
        for made, _ in held:
            session = sessions.get((made.source, made.port))
            seen_as = session.client if session and session.client != made.source else None
            server = session.server if session else None
            visits.append(made.model_copy(update={"server": server, "seen_as": seen_as}))
        return visits

    def attributed(self, api: Api, visits: Sequence[Visit]) -> Attributed:
        """The visits, and all clients whose sessions the table showed."""
        clients = sorted(self._clients[api.proxy_section].items())
        return Attributed(tuple(visits), clients={client: dict(servers) for client, servers in clients})


class CounterAttribution(Attribution):
    """The servers' session counters, read around each single visit.

    A visit around which not exactly one session was counted, as others visited too, is not attributed.
    """

    kind: ClassVar[EvidenceKind] = "counters"
    works_under_load: ClassVar[bool] = False

    def doubt(self, api: Api) -> str | None:
        """None if the proxy's counters can be read at all."""
        return None if self.stats else "no stats source shows the servers' counters"

    def visit(
        self, api: Api, sources: Sources, in_flight: int = 1, give_up: int | None = None
    ) -> list[Visit]:
        """As `Attribution.visit`, but one visit at a time, attributed at once."""
        visits: list[Visit] = []
        before = proxy_polling.chosen(self.stats, api.proxy_section)
        for source in sources:
            (made,) = super().visit(api, [source])
            after = self._counted_since(api, before)
            gained = after - before
            server = next(iter(gained)) if gained.total() == 1 else None
            visits.append(made.model_copy(update={"server": server}))
            before = after
            if _enough(visits, give_up):
                break
        return visits

    def _counted_since(self, api: Api, before: Counter[str]) -> Counter[str]:
        """The counters once they are not as before; a stats page may be some time behind."""
        found = before

        def changed() -> bool:
            nonlocal found
            found = proxy_polling.chosen(self.stats, api.proxy_section)
            return found != before

        waiting.poll(changed, COUNTED_WITHIN_S)
        return found


def _enough(visits: Sequence[Visit], give_up: int | None) -> bool:
    return give_up is not None and sum(not each.served for each in visits) >= give_up
