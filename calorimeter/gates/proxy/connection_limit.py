"""The limit of connections that a proxy reaches first, from its statistics or its configuration (P4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from calorimeter.config import named_files
from calorimeter.config.audit.subject import build
from calorimeter.config.haproxy.units import integer_or_none
from calorimeter.core.deployment import Api, Deployment
from calorimeter.core.errors import InputError
from calorimeter.gates.evidence.proxy_state import ServerStat
from calorimeter.gates.evidence.proxy_stats import StatsSource
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

PROCESS = "the process's"
"""`limited_by` of the maxconn in `global`."""


class ConnectionLimit(NamedTuple):
    """A limit, whose it is, and how many connections count towards it now."""

    limit: int
    limited_by: str
    now: int


def section_rows(stats: StatsSource, fronts: Sequence[Api]) -> list[ServerStat]:
    """The rows of the sections that serve these APIs."""
    sections = {api.proxy_section for api in fronts}
    return [row for row in stats.show_stat() if row.section in sections]


def fillable(stats: StatsSource, fronts: Sequence[Api], deployment: Deployment) -> ConnectionLimit:
    """The limit that is reached first.

    A stats page does not show the process's: its configuration has it. Raises EvidenceUnavailable if it is
    in neither, or is reached first behind a stats page, which nobody can read while the proxy is full.
    """
    process = _process(stats, deployment)
    limits = [
        ConnectionLimit(row.slim, row.section, row.scur or 0)
        for row in section_rows(stats, fronts)
        if row.kind == "frontend" and row.slim
    ]
    first = min([process, *limits], key=lambda each: each.limit)
    full = process.now + first.limit - first.now
    if not stats.shows_sessions and full >= process.limit:
        raise EvidenceUnavailable(
            stats.where,
            f"the process's maxconn is {process.limit}, and a stats page cannot be read when it is "
            "reached; a stats socket can",
        )
    return first


def _process(stats: StatsSource, deployment: Deployment) -> ConnectionLimit:
    """The process's own limit."""
    if stats.shows_sessions:
        info = stats.show_info()
        return ConnectionLimit(int(info["Maxconn"]), PROCESS, int(info["CurrConns"]))
    limit = _configured(deployment)
    if not limit:
        raise EvidenceUnavailable(
            stats.where,
            "a stats page does not show the process's maxconn, and no file of [[proxy]] config sets it",
        )
    now = sum(row.scur or 0 for row in stats.show_stat() if row.kind == "frontend")
    return ConnectionLimit(limit, PROCESS, now)


def _configured(deployment: Deployment) -> int | None:
    """`maxconn` of `global` in the files of the proxy; None without such a line, or without files."""
    if not any(proxy.config for proxy in deployment.proxy):
        return None
    try:
        (proxy, *_) = build(named_files.from_deployment(deployment)).proxies
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
    setting = proxy.configuration.globals.get("maxconn")
    return integer_or_none(setting.words[0]) if setting and setting.words else None


def connections_now(stats: StatsSource, fronts: Sequence[Api], limited_by: str) -> int:
    """How many connections count towards the limit."""
    if limited_by == PROCESS:
        return int(stats.show_info()["CurrConns"])
    return max((row.scur or 0 for row in section_rows(stats, fronts) if row.kind == "frontend"), default=0)
