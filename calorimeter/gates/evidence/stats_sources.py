"""Which stats source of a proxy is read: the first that answers, for every gate and recorder."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from calorimeter.core.deployment import Deployment, Proxy
from calorimeter.gates.evidence.proxy_stats import TIMEOUT_S, StatsPage, StatsSocket, StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable, NotVisible

T = TypeVar("T")


class ProxyStats(StatsSource):
    """The statistics of one proxy, read from the first of its stats sources that answers.

    The source that answered last (`where`) is asked first; if it fails, the others are asked in order,
    sockets before pages (they show more). If all fail, `EvidenceUnavailable` (`NotVisible` if that is
    every source's reason) names each source with its reason.
    """

    def __init__(self, deployment: Deployment, proxy: Proxy, timeout_s: float = TIMEOUT_S) -> None:
        """Contacts nothing yet. Raises `EvidenceUnavailable` if the proxy names no stats, and `InputError`
        if a URL is malformed or the password cannot be read."""
        if not proxy.stats:
            raise EvidenceUnavailable(str(deployment.path), f"proxy {proxy.name!r} names no stats")
        sources = [_source(deployment, proxy, url, timeout_s) for url in proxy.stats]
        self.name = proxy.name
        self.sources = tuple(sorted(sources, key=lambda source: not source.shows_sessions))
        self._use(self.sources[0])

    def _use(self, source: StatsSource) -> None:
        self._current, self.where, self.shows_sessions = source, source.where, source.shows_sessions

    def read(self, command: str, parse: Callable[[str, str], T]) -> T:
        """The answer of the first source that has one."""
        problems: list[EvidenceUnavailable] = []
        for source in dict.fromkeys((self._current, *self.sources)):
            try:
                answer = source.read(command, parse)
            except EvidenceUnavailable as problem:
                problems.append(problem)
                continue
            self._use(source)
            return answer
        if len(problems) == 1:
            raise problems[0]
        kind = NotVisible if all(isinstance(p, NotVisible) for p in problems) else EvidenceUnavailable
        raise kind(f"stats of proxy {self.name!r}", "; ".join(map(str, problems)))


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


def _source(deployment: Deployment, proxy: Proxy, url: str, timeout_s: float) -> StatsSource:
    if urlsplit(url).scheme in ("unix", "tcp"):
        return StatsSocket(url, timeout_s)
    password = deployment.reveal(proxy.stats_password) if proxy.stats_password else None
    return StatsPage(
        url, proxy.stats_user, password, verify=deployment.tls.for_requests, timeout_s=timeout_s
    )
