"""Which parts of a deployment can be reached."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from calorimeter.core import engine_groups
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.gates.context import check_reachable, check_tls
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

State = Literal["ok", "unreachable", "not described"]


@dataclass(frozen=True, slots=True)
class PartState:
    """The state of one part of a deployment, with what was found there."""

    name: str
    state: State
    found: str


Reader = Callable[[], str]
"""Contacts a part and describes what it finds. Raises EvidenceUnavailable or InputError."""


def examine(deployment: Deployment) -> Iterator[PartState]:
    """Contact each part, each with a timeout of its own."""
    for name, read in _readers(deployment).items():
        if read is None:
            yield PartState(name, "not described", f"{deployment.path.name} does not name it")
            continue
        try:
            yield PartState(name, "ok", read())
        except EvidenceUnavailable as problem:
            yield PartState(name, "unreachable", f"{problem.where}: {problem.why}")
        except InputError as problem:
            yield PartState(name, "unreachable", str(problem))


def _readers(deployment: Deployment) -> dict[str, Reader | None]:
    """Name of each part → its reader; None if the deployment does not describe the part."""
    broker, identity = deployment.broker, deployment.identity
    proxies = [path for proxy in deployment.proxy for path in proxy.config]
    heats = [path for conf in deployment.heat_conf for path in conf.files]
    return {
        "rest": lambda: _front(deployment, "rest"),
        "cfn": (lambda: _front(deployment, "cfn")) if deployment.cfn else None,
        "identity": (lambda: _identity(deployment)) if identity else None,
        "ec2": (lambda: _ec2(deployment)) if identity and identity.ec2_access else None,
        "proxy stats": (lambda: _stats(deployment)) if any(p.stats for p in deployment.proxy) else None,
        "proxy log": (lambda: _logs(deployment)) if any(p.logs for p in deployment.proxy) else None,
        "broker amqp": (lambda: _amqp(deployment)) if broker else None,
        "broker management": (lambda: _management(deployment)) if broker and broker.management else None,
        "broker trace": (lambda: _trace(deployment)) if broker and broker.management else None,
        "database": (lambda: _database(deployment)) if deployment.database else None,
        "sources": (lambda: _sources(deployment)) if deployment.clients.sources else None,
        "fault commands": (lambda: _parts(deployment)) if deployment.parts else None,
        "proxy files": (lambda: _files(deployment, proxies)) if proxies else None,
        "heat files": (lambda: _files(deployment, heats)) if heats else None,
    }


def _front(deployment: Deployment, name: str) -> str:
    api = deployment.api(name)
    assert api is not None
    check_reachable(f"{name}.url", api)
    check_tls(deployment, name, api)
    return f"{api.url} accepts connections"


def _identity(deployment: Deployment) -> str:
    from calorimeter.core.login.http_session import without_secrets
    from calorimeter.core.login.keystone_login import UNRESTRICTED, restricted
    from calorimeter.gates.evidence.identity import leads_to, session

    identity = session(deployment)
    login, access = identity.login, identity.access()
    scope = (
        f"project {access.project_name!r}" if access.project_id else "no project (system or domain scope)"
    )
    found = [
        f"a token for user {access.username!r} in {scope} ({login.kind}, "
        f"region {login.region or 'any'}, {login.interface} interface)"
    ]
    if deployment.identity is not None and deployment.identity.cloud is not None:
        found[0] += f", from {login.who}"
    if not access.project_id:
        found.append("note: Heat's REST API needs a project: loads, and gates that call Heat, cannot run")
    endpoint = identity.orchestration_endpoint() if access.project_id else None
    if endpoint is not None and not leads_to(endpoint, deployment.rest):
        found.append(
            f"note: the catalog's orchestration endpoint is {without_secrets(endpoint)}, not rest.url"
        )
    if login.tls_warning and not deployment.tls.warning:
        found.append(f"note: {login.tls_warning}")
    if not login.renewable and access.expires is not None:
        found.append(f"note: it expires at {access.expires:%Y-%m-%d %H:%M} UTC and cannot be renewed")
    if restricted(access):
        found.append(f"note: it is restricted: {UNRESTRICTED}")
    return "; ".join(found)


def _ec2(deployment: Deployment) -> str:
    assert deployment.identity is not None
    if deployment.identity.ec2_secret is None:
        raise InputError(
            "identity.ec2_secret",
            "is missing",
            'valid: { env = "NAME" } or { file = "PATH", key = "NAME" }',
        )
    deployment.reveal(deployment.identity.ec2_secret)
    return f"EC2 credentials {deployment.identity.ec2_access}"


def _stats(deployment: Deployment) -> str:
    from calorimeter.gates.evidence.stats_sources import ProxyStats

    found = []
    for proxy in (proxy for proxy in deployment.proxy if proxy.stats):
        stats = ProxyStats(deployment, proxy)
        stats.show_stat()  # fails, with the reason of each source, only if none of them answers
        for source in stats.sources:
            try:
                servers = sum(row.kind == "server" for row in source.show_stat())
                found.append(f"{source.where} lists {servers} servers")
            except EvidenceUnavailable as problem:
                found.append(f"{problem} (not used: another source answers)")
    return "; ".join(found)


def _logs(deployment: Deployment) -> str:
    from calorimeter.gates.evidence.log_listener import open_logs

    found = []
    for proxy in deployment.proxy:
        for log in open_logs(proxy):
            with log:
                found.append(f"{log.where} can be listened to")
    return "; ".join(found)


def _amqp(deployment: Deployment) -> str:
    """What AMQP alone tells, by passive declares."""
    from calorimeter.gates.evidence import firehose

    assert deployment.broker is not None
    firehose.connect(deployment).close()
    found = []
    for queue in ("engine", "engine_worker"):
        try:
            messages, consumers = firehose.depth(deployment, queue)
            found.append(f"{queue} has {consumers} consumers and {messages} messages that wait")
        except EvidenceUnavailable as problem:
            found.append(f"{queue}: {problem.why}")
    if not deployment.broker.management:
        found.append(
            "note: without a management API it is not known which processes consume, and tracing cannot be "
            "switched on: E1 can only compare numbers, E4 needs [broker] nodes prometheus, and the other "
            "gates E, L and B are INCONCLUSIVE"
        )
    return "; ".join(found)


def _management(deployment: Deployment) -> str:
    from calorimeter.gates.evidence.broker_api import BrokerApi

    with BrokerApi.of(deployment) as api:
        overview = api.overview()
        consumers = api.engine_consumers()
        nodes = api.nodes()
    tags = ", ".join(overview.tags) or "none"
    hosts = Counter(each.server or "unknown" for each in consumers)
    each = f" ({', '.join(f'{host}: {count}' for host, count in sorted(hosts.items()))})" if hosts else ""
    described = sum(engine_groups.consumers(deployment.engines).values())
    of = f" of {len(nodes)} nodes" if len(nodes) > 1 else ""
    away = "".join(f"; note: {node.name} does not run" for node in nodes if not node.running)
    return (
        f"RabbitMQ {overview.version}{of}, {len(consumers)} consumers on engine{each}, {described} "
        f"described; rights: {tags}{away}"
    )


def _trace(deployment: Deployment) -> str:
    from calorimeter.gates.evidence import tracing
    from calorimeter.gates.evidence.broker_api import BrokerApi
    from calorimeter.gates.evidence.firehose import connect

    assert deployment.broker is not None
    with BrokerApi.of(deployment) as api:
        if "administrator" not in api.overview().tags:
            raise EvidenceUnavailable(
                api.url, f"user {api.user!r} lacks the tag administrator, which switching tracing needs"
            )
        running = [node.name for node in api.nodes() if node.running]
    connect(deployment).close()
    found = (
        f"{' or '.join(deployment.broker.amqp)} accepts {deployment.broker.user!r}, who may switch tracing"
    )
    if unreached := sorted({*running} - {*tracing.reachable(deployment)}):
        found += (
            f"; note: not at {', '.join(unreached)}, whose own management API is not in [broker] nodes or "
            "does not answer: gates that trace are INCONCLUSIVE"
        )
    return found


def _database(deployment: Deployment) -> str:
    from calorimeter.gates.evidence.database_digests import DatabaseReader

    assert deployment.database is not None
    with DatabaseReader.of(deployment) as reader:
        found = reader.read()
    return (
        f"{deployment.database.url} counts {len(found.digests)} classes of statements on "
        f"{deployment.database.name!r}; {found.server.threads_connected} of at most "
        f"{found.server.max_connections} connections"
    )


def _sources(deployment: Deployment) -> str:
    from calorimeter.gates.clients.sources import addresses, check_bindable

    found = addresses(deployment.clients.sources, 1000)
    for address in found[:1] + found[-1:]:
        check_bindable(address)
    return f"{len(found)} of at most 1000 asked for, {found[0]} to {found[-1]}" if found else "none"


def _parts(deployment: Deployment) -> str:
    able = [part.name for part in deployment.parts if part.kill and part.start]
    shell = subprocess.run(["sh", "-c", "true"], check=False)
    if shell.returncode != 0:
        raise EvidenceUnavailable("fault commands", "sh cannot be run")
    return f"{len(able)} of {len(deployment.parts)} parts can be killed and started again"


def _files(deployment: Deployment, paths: Sequence[Path]) -> str:
    for path in paths:
        found = deployment.path.parent / path
        if not os.access(found, os.R_OK):
            raise EvidenceUnavailable(str(found), "cannot be read")
    return f"{len(paths)} to audit"
