"""The tables [[proxy]]: where a HAProxy reports its state and its log, and how it checks its servers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calorimeter.config import keepalived_reader
from calorimeter.config.audit.subject import HeatProxy
from calorimeter.config.describe.owner_answers import Answers, Missing
from calorimeter.config.describe.stats_urls import pages, socket_urls
from calorimeter.config.haproxy import ProxiedService
from calorimeter.core import files
from calorimeter.core.deployment import Checks, Proxy
from calorimeter.core.errors import InputError
from calorimeter.core.vrrp import Vrrp

_NAMED_URL = re.compile(r"([\w.-]+)=(\w+://.*)")


@dataclass(frozen=True, slots=True)
class DescribedProxy:
    """The table of a proxy without its files, the password of its stats page, and what is missing."""

    table: Proxy
    password: str | None
    missing: tuple[Missing, ...]


def table(proxy: HeatProxy, answers: Answers, *, only: bool) -> DescribedProxy:
    """Describe one proxy from its configuration and the owner's answers.

    If it is not the only one, the answers for it start with `NAME=`; raises InputError if one has no name.
    """
    given = _of(proxy, "--stats", answers.stats, only=only)
    logs = _of(proxy, "--log", answers.logs, only=only)
    stats, user, password = _stats(proxy, given)
    key, name = ("proxy", "") if only else (f"proxy.{proxy.name}", f"{proxy.name}=")
    missing = []
    if not stats:
        what, option = "HAProxy's stats socket or stats page", f"--stats {name}unix:///run/haproxy.sock"
        missing.append(Missing(f"{key}.stats", what, option))
    if not logs:
        logs_to = (s.words[0] for s in proxy.configuration.globals.all("log") if s.words)
        targets = ", ".join(dict.fromkeys(logs_to))
        what = (
            "the place to read HAProxy's log, a file or udp://HOST:PORT (it logs to "
            f"{targets or 'no target'})"
        )
        missing.append(Missing(f"{key}.logs", what, f"--log {name}file:///var/log/haproxy.log"))
    described = Proxy(
        name=proxy.name,
        stats=stats,
        stats_user=user,
        logs=logs,
        checks=_checks(proxy.services["rest"]),
        vrrp=_vrrp(proxy, answers.keepalived, only=only),
    )
    return DescribedProxy(described, password, tuple(missing))


def _of(proxy: HeatProxy, option: str, urls: tuple[str, ...], *, only: bool) -> tuple[str, ...]:
    """The URLs that the owner gives for a proxy."""
    found: list[str] = []
    for url in urls:
        named = _NAMED_URL.fullmatch(url)
        if named is None and not only:
            raise InputError(option, f"{url!r} given", f"valid with several proxies: {proxy.name}={url}")
        if named is None or named[1] == proxy.name:
            found.append(named[2] if named else url)
    return tuple(found)


def _vrrp(proxy: HeatProxy, given: tuple[str, ...], *, only: bool) -> Vrrp | None:
    """The settings in the keepalived.conf that the owner gives for a proxy; None if there is none."""
    found = []
    for word in given:
        name, named, path = word.partition("=")
        if not only and not named:
            raise InputError("--keepalived", f"{word!r} given", f"valid: {proxy.name}={word}")
        if only or name == proxy.name:
            found.append(path if named and name == proxy.name else word)
    return keepalived_reader.read(files.read_text(Path(found[-1])), found[-1]) if found else None


def _stats(proxy: HeatProxy, given: tuple[str, ...]) -> tuple[tuple[str, ...], str | None, str | None]:
    """The stats URLs, and the user and password of the first page that has them."""
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
