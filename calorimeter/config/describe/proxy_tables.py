"""The tables [[proxy]]: where a HAProxy reports its state and its log, and how it checks its servers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calorimeter.config.audit.subject import HeatProxy
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.describe.stats_urls import pages, socket_urls
from calorimeter.config.haproxy import ProxiedService
from calorimeter.core.deployment import Checks, Proxy


@dataclass(frozen=True, slots=True)
class DescribedProxy:
    """The table of a proxy without its files, the password of its stats page, and what is missing."""

    table: Proxy
    password: str | None
    missing: tuple[Missing, ...]


def table(proxy: HeatProxy, answers: Answers) -> DescribedProxy:
    """Describe one proxy from its configuration and the owner's answers."""
    stats, user, password = _stats(proxy, answers)
    missing = []
    if not stats:
        missing.append(
            Missing(
                "proxy.stats", "HAProxy's stats socket or stats page", "--stats unix:///run/haproxy.sock"
            )
        )
    if not answers.logs:
        targets = ", ".join(s.words[0] for s in proxy.configuration.globals.all("log") if s.words)
        missing.append(
            Missing(
                "proxy.logs",
                "the place to read HAProxy's log, a file or udp://HOST:PORT (it logs to "
                f"{targets or 'no target'})",
                "--log file:///var/log/haproxy.log",
            )
        )
    described = Proxy(
        name=proxy.name,
        stats=stats,
        stats_user=user,
        logs=answers.logs,
        checks=_checks(proxy.services["rest"]),
    )
    return DescribedProxy(described, password, tuple(missing))


def _stats(proxy: HeatProxy, answers: Answers) -> tuple[tuple[str, ...], str | None, str | None]:
    """The stats URLs, and the user and password of the first page that has them."""
    given = answers.stats
    found = list(given or socket_urls(proxy.configuration))
    login = None
    for urls, page_login in pages(proxy.configuration):
        if not given:
            found.extend(urls)
        if urls or given:
            login = login or page_login
    if not login:
        return tuple(dict.fromkeys(found)), None, None
    user, _, password = login.partition(":")
    return tuple(dict.fromkeys(found)), user, password


def _checks(services: Sequence[ProxiedService]) -> Checks | None:
    """How the servers of a section are checked: the most frequent way; None if no server is checked."""
    checked = [service.back.checks(s) for service in services for s in service.back.servers if s.check]
    return Counter(checked).most_common(1)[0][0] if checked else None
