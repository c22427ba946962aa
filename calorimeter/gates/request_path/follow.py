"""Run one command against a deployment and record where its requests went."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import pyarrow.compute as pc

from calorimeter.core.deployment import Deployment, address
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.evidence.proxy_polling import same_place
from calorimeter.gates.request_path import budget
from calorimeter.gates.request_path.path import RequestPaths, SentRequest, join, request_from, requests_of
from calorimeter.gates.request_path.recording import PathEvidence, recorder
from calorimeter.gates.request_path.relay import Relay, Relayed


class FollowedCommand(NamedTuple):
    """A command and its requests.

    `elsewhere` counts requests to other addresses (Keystone), `hidden` connections to the APIs whose
    requests TLS hides. `runs` are the run folders that the command made, with their requests; the
    recording is kept in each of them as evidence.
    """

    status: int
    started_ns: int
    ended_ns: int
    paths: RequestPaths
    recording: PathEvidence
    elsewhere: int
    hidden: int
    runs: tuple[tuple[RunDir, RequestPaths], ...]


TRACE = "trace"
"""Name of the recording in a run's evidence."""

SENT = (*SentRequest.model_fields, "error")
"""The columns of samples that say what was sent."""


def follow(
    deployment: Deployment, command: Sequence[str], *, runs: Path = Path("runs"), wait_s: float = 60.0
) -> FollowedCommand:
    """Run `command` with the deployment's `OS_*` variables, and follow each of its requests.

    Run folders that appear below `runs` while it runs are joined too: the command may be `calorimeter
    run`. Returns once the broker has delivered nothing for the requests for 2 s, at most `wait_s` after
    the command. Raises `InputError` (no consent, a command that cannot be run) and `EvidenceUnavailable`
    (no trace).
    """
    environment = command_environment(deployment)
    before = set(runs.glob("*/run.json"))
    with recorder(deployment) as recording, Relay() as relay:
        started_ns = time.time_ns()
        status = _run(command, {**environment, "http_proxy": relay.url, "https_proxy": relay.url})
        ended_ns = time.time_ns()
        ours = [relayed for relayed in relay.requests() if _api_of(deployment, relayed)]
        loads = [RunDir(path.parent) for path in sorted(set(runs.glob("*/run.json")) - before)]
        loaded = [samples(run) for run in loads]
        ports = {r.source_port for r in ours if r.source_port} | {
            r.source_port for some in loaded for r in some
        }
        ids = None if loads else {relayed.request_id for relayed in ours}
        evidence = recording.finish(ids, ports, wait_s)
    for run in loads:
        run.save_evidence(TRACE, evidence)
        budget.keep(run, evidence)
    seen = tuple(_request(deployment, relayed) for relayed in ours if relayed.method != "CONNECT")
    return FollowedCommand(
        status=status,
        started_ns=started_ns,
        ended_ns=ended_ns,
        paths=joined(seen, evidence),
        recording=evidence,
        elsewhere=len(relay.requests()) - len(ours),
        hidden=sum(1 for relayed in ours if relayed.method == "CONNECT"),
        runs=tuple((run, joined(some, evidence)) for run, some in zip(loads, loaded, strict=True)),
    )


def joined(requests: Sequence[SentRequest], recording: PathEvidence) -> RequestPaths:
    """The paths of requests, joined from a recording."""
    return join(requests, recording.connections, recording.events, recording.processes)


def samples(run: RunDir, request_id: str | None = None) -> tuple[SentRequest, ...]:
    """The requests of a recorded load: all, or those with one id. Raises InputError for damaged samples."""
    rows: list[SentRequest] = []
    for batch in RecordedRows(run, "samples").batches(SENT):
        chosen = batch if request_id is None else batch.filter(pc.field("request_id") == request_id)
        rows += requests_of(chosen.to_pylist())
    return tuple(rows)


def command_environment(deployment: Deployment) -> dict[str, str]:
    """This process's environment, with the deployment's identity in the variables of OpenStack's clients.

    The EC2 credentials for CFN are in the variables of AWS's clients. Raises InputError without [identity].
    """
    login, who = keystone_login.of(deployment), deployment.identity
    assert who is not None
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("OS_") and name.lower() not in ("no_proxy", "http_proxy", "https_proxy")
    }
    if who.ec2_access and who.ec2_secret:
        kept["AWS_ACCESS_KEY_ID"] = who.ec2_access
        kept["AWS_SECRET_ACCESS_KEY"] = deployment.reveal(who.ec2_secret)
    return {**kept, **login.environment}


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        return subprocess.run(command, env=environment, check=False).returncode
    except OSError as problem:
        raise InputError(command[0], f"cannot be run ({problem.strerror})") from problem


def _api_of(deployment: Deployment, relayed: Relayed) -> str | None:
    for name in ("rest", "cfn"):
        api = deployment.api(name)
        with suppress(ValueError):  # the target is no address
            if api is not None and same_place(address(relayed.target), api.front):
                return name
    return None


def _request(deployment: Deployment, relayed: Relayed) -> SentRequest:
    api, operation = _api_of(deployment, relayed) or "", f"{relayed.method} {relayed.path}"
    return request_from(relayed.model_dump(), api=api, operation=operation)
