"""Run one command against a deployment and record where its requests went."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from calorimeter.deployment import Address, Api, Consent, Deployment, address
from calorimeter.errors import InputError
from verify.checks.path import Paths, Request, join
from verify.evidence import proxy_log
from verify.evidence.broker_api import BrokerApi
from verify.evidence.broker_records import Process
from verify.evidence.firehose import Firehose
from verify.evidence.log_listener import LogSource, open_logs
from verify.evidence.relay import Relay, Relayed
from verify.evidence.tracing import tracing

QUIET_S = 2.0
LOG_WITHIN_S = 5.0


class Followed(NamedTuple):
    """A command's requests. `elsewhere` counts those to other addresses (Keystone), `hidden` the
    connections to the APIs whose requests TLS hides, `doubts` why links may be missing. `names` gives
    engine processes the names of their hosts.
    """

    status: int
    started_ns: int
    ended_ns: int
    relayed: tuple[Relayed, ...]
    paths: Paths
    names: dict[Process, str]
    elsewhere: int
    hidden: int
    doubts: tuple[str, ...]


def follow(deployment: Deployment, command: Sequence[str], *, wait_s: float = 60.0) -> Followed:
    """Run `command` with the deployment's `OS_*` variables, and follow each of its requests.

    Ends when the engines have been quiet about these requests for 2 s after the command, at most
    `wait_s` after it. Raises `InputError` (no consent, a command that cannot be run) and
    `EvidenceUnavailable` (no trace).
    """
    if not deployment.consent.level.allows(Consent.INVASIVE):
        raise InputError(
            f"{deployment.path}: consent.level",
            f"is {str(deployment.consent.level)!r}, and this switches the broker's tracing on",
            "valid: invasive",
        )
    environment = command_environment(deployment)
    with ExitStack() as stack:
        api = stack.enter_context(tracing(deployment))
        firehose = stack.enter_context(Firehose(deployment))
        logs = [stack.enter_context(log) for proxy in deployment.proxy for log in open_logs(proxy)]
        relay = stack.enter_context(Relay())
        processes, names = api.processes(), _names(api)
        started_ns = time.time_ns()
        status = _run(command, {**environment, "http_proxy": relay.url, "https_proxy": relay.url})
        ended_ns = time.time_ns()
        ours = [relayed for relayed in relay.requests() if _api_of(deployment, relayed)]
        ids = {relayed.request_id for relayed in ours}
        _await_quiet(firehose, ids, wait_s)
        lines = _await_lines(logs, {relayed.source_port for relayed in ours})
        firehose.settle()
        events = [event for event in firehose.deliveries() if event.reply or event.request_id in ids]
        seen = {event.connection for event in events if not event.reply}
        processes = {**processes, **api.processes(seen - set(processes))}
    log = proxy_log.read(lines)
    requests = tuple(_request(deployment, relayed) for relayed in ours if relayed.method != "CONNECT")
    paths = join(requests, log.connections, events, processes)
    doubts = [firehose.why_incomplete, log.doubt, *(doubt for source in logs for doubt in source.doubts)]
    return Followed(
        status=status,
        started_ns=started_ns,
        ended_ns=ended_ns,
        relayed=tuple(relayed for relayed in ours if relayed.method != "CONNECT"),
        paths=paths,
        names=names,
        elsewhere=len(relay.requests()) - len(ours),
        hidden=sum(1 for relayed in ours if relayed.method == "CONNECT"),
        doubts=tuple(doubt for doubt in doubts if doubt),
    )


def command_environment(deployment: Deployment) -> dict[str, str]:
    """This process's environment with the deployment's identity in the variables of OpenStack's clients.

    CFN clients find EC2 credentials in those of AWS's. Raises `InputError` where there is no [identity].
    """
    who = deployment.identity
    if who is None:
        raise InputError(str(deployment.path), "[identity] is missing", "valid: auth_url, username, …")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OS_") and name.lower() not in ("no_proxy", "http_proxy", "https_proxy")
    }
    given = {
        "OS_AUTH_URL": who.auth_url,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": who.username,
        "OS_PASSWORD": deployment.reveal(who.password),
        "OS_PROJECT_NAME": who.project,
        "OS_USER_DOMAIN_NAME": who.user_domain,
        "OS_PROJECT_DOMAIN_NAME": who.project_domain,
        "OS_REGION_NAME": who.region,
        "OS_CACERT": str(deployment.tls.ca_file) if deployment.tls.ca_file else None,
        "AWS_ACCESS_KEY_ID": who.ec2_access,
        "AWS_SECRET_ACCESS_KEY": deployment.reveal(who.ec2_secret) if who.ec2_secret else None,
    }
    return {**kept, **{name: value for name, value in given.items() if value is not None}}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except OSError as problem:
        raise InputError(command[0], f"cannot be run ({problem.strerror})") from problem


def _names(api: BrokerApi) -> dict[Process, str]:
    """Engine process → its host as Heat calls it."""
    return {c.process: c.server for c in api.engine_consumers() if c.process and c.server}


def _await_quiet(firehose: Firehose, request_ids: set[str], wait_s: float) -> None:
    """Wait until nothing more comes of these requests: convergence goes on after the answer."""
    deadline = time.monotonic() + wait_s
    seen = len(firehose)
    while (left_s := deadline - time.monotonic()) > 0:
        start = seen

        def more(events: Sequence[object], start: int = start) -> bool:
            return any(getattr(event, "request_id", None) in request_ids for event in events[start:])

        if not firehose.wait_for(more, min(QUIET_S, left_s)):
            return
        seen = len(firehose)


def _await_lines(logs: Sequence[LogSource], ports: set[int]) -> list[proxy_log.Line]:
    """The lines of all logs, once each port has been named or the time for that is over."""

    def named(lines: Sequence[proxy_log.Line]) -> bool:
        return ports <= {c.client_port for c in proxy_log.read(lines).connections}

    for log in logs:
        if log.wait_for(named, LOG_WITHIN_S):
            break
    return [line for log in logs for line in log.lines()]


def _api_of(deployment: Deployment, relayed: Relayed) -> str | None:
    for name in ("rest", "cfn"):
        api = deployment.api(name)
        if api is not None and _is_front(api, relayed.target):
            return name
    return None


def _is_front(api: Api, target: str) -> bool:
    try:
        given = address(target)
    except ValueError:
        return False
    front = api.front
    return given == front or (given.port == front.port and bool(_resolved(given) & _resolved(front)))


def _resolved(place: Address) -> set[str]:
    try:
        return {
            str(info[4][0]) for info in socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
        }
    except OSError:
        return {place.host}


def _request(deployment: Deployment, relayed: Relayed) -> Request:
    return Request(
        api=_api_of(deployment, relayed) or "",
        operation=f"{relayed.method} {relayed.path}",
        source=relayed.source,
        source_port=relayed.source_port,
        request_id=relayed.request_id,
        sent_ns=relayed.sent_ns,
        done_ns=relayed.done_ns,
        status=relayed.status,
    )
