"""Which stats source of a proxy is read: the first that answers, for every gate and recorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from calorimeter.core.deployment import Deployment, Proxy
from calorimeter.gates.evidence.proxy_state import LiveSession, ServerStat, ServerState
from calorimeter.gates.evidence.proxy_stats import StatsPage, StatsSocket, StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable, NotVisible

T = TypeVar("T")


class ProxyStats:
    """The statistics of one proxy: a `StatsSource` over all of that proxy's sources.

    The source that answered last is asked first; if it fails, the others are asked in order, sockets before
    pages (they show more). If all fail, `EvidenceUnavailable` (`NotVisible` if that is every source's
    reason) names each source with its reason.
    """

    def __init__(self, deployment: Deployment, proxy: Proxy) -> None:
        """Contacts nothing yet. Raises `EvidenceUnavailable` if the proxy names no stats, and `InputError`
        if a URL is malformed or the password cannot be read."""
        if not proxy.stats:
            raise EvidenceUnavailable(str(deployment.path), f"proxy {proxy.name!r} names no stats")
        sources = [_source(deployment, proxy, url) for url in proxy.stats]
        self.name = proxy.name
        self.sources = tuple(sorted(sources, key=lambda source: not source.shows_sessions))
        self._current = self.sources[0]

    @property
    def where(self) -> str:
        """Address of the source that answered last."""
        return self._current.where

    @property
    def shows_sessions(self) -> bool:
        """Whether the source that answered last shows more than `show_stat`."""
        return self._current.shows_sessions

    def show_stat(self) -> tuple[ServerStat, ...]:
        """All rows of `show stat`."""
        return self._first(lambda source: source.show_stat())

    def show_info(self) -> dict[str, str]:
        """Name → value of `show info`."""
        return self._first(lambda source: source.show_info())

    def show_sess(self) -> tuple[LiveSession, ...]:
        """The live sessions, without that of the stats socket itself."""
        return self._first(lambda source: source.show_sess())

    def show_servers_state(self) -> tuple[ServerState, ...]:
        """The rows of `show servers state`."""
        return self._first(lambda source: source.show_servers_state())

    def _first(self, read: Callable[[StatsSource], T]) -> T:
        problems: list[EvidenceUnavailable] = []
        for source in dict.fromkeys((self._current, *self.sources)):
            try:
                answer = read(source)
            except EvidenceUnavailable as problem:
                problems.append(problem)
                continue
            self._current = source
            return answer
        if len(problems) == 1:
            raise problems[0]
        kind = NotVisible if all(isinstance(p, NotVisible) for p in problems) else EvidenceUnavailable
        raise kind(f"stats of proxy {self.name!r}", "; ".join(str(problem) for problem in problems))


def proxy_stats(deployment: Deployment) -> tuple[ProxyStats, ...]:
    """The statistics of every proxy, each of which has just answered.

    Raises `EvidenceUnavailable` if no proxy is described or one has no source that answers: the state of
    only some proxies proves nothing.
    """
    if not deployment.proxy:
        raise EvidenceUnavailable(str(deployment.path), "has no [proxy], which this gate needs")
    found = tuple(ProxyStats(deployment, proxy) for proxy in deployment.proxy)
    for stats in found:
        stats.show_stat()
    return found


def proxy_stats_if_visible(deployment: Deployment) -> tuple[ProxyStats, ...]:
    """The statistics of every proxy; empty if one of them cannot be read."""
    try:
        return proxy_stats(deployment)
    except EvidenceUnavailable:
        return ()


def _source(deployment: Deployment, proxy: Proxy, url: str) -> StatsSource:
    if urlsplit(url).scheme in ("unix", "tcp"):
        return StatsSocket(url)
    password = deployment.reveal(proxy.stats_password) if proxy.stats_password else None
    return StatsPage(url, proxy.stats_user, password, verify=deployment.tls.for_requests)
