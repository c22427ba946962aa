"""The experiment of P3: the unmodified `openstack` client, called as an operator types it."""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from calorimeter.core import files, foreign
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login.keystone_login import Login
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.identity import leads_to, session
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.openstack_client import ClientCall, ClientCalls

CALL_S = 120.0
SAID = 300
NO_COMMAND = "is not an openstack command"

TEMPLATE = """\
heat_template_version: 2018-08-31
description: Gate P3 of Calorimeter.
resources:
  word:
    type: OS::Heat::RandomString
"""


def client_calls(context: Context) -> ClientCalls:
    """List, create, list, show, delete, list.

    Raises EvidenceUnavailable if there is no client, and InputError if Keystone gives no token: Heat would
    not be called at all then.
    """
    command = _command(context.deployment)
    _ = context.identity
    identity = session(context.deployment)
    environment = _environment(identity.login)
    api = context.api("rest")
    stats = proxy_stats_if_visible(context.deployment)
    before = proxy_polling.sessions(stats, api.proxy_section)
    name = f"calorimeter-p3-{secrets.token_hex(4)}"
    with TemporaryDirectory(prefix="calorimeter-") as folder:
        template = Path(folder) / "tiny.yaml"
        files.write(template, TEMPLATE)
        environment["OS_CLIENT_CONFIG_FILE"] = f"{folder}/none.yaml"
        client = _Client(context.deployment, command, environment, folder, context.say)
        client.stack("list")
        try:
            client.stack("create", "--wait", "-t", str(template), name)
            listed = name in client.stack("list")
            shown = _state(client.stack("show", name))
        finally:
            client.stack("delete", "--yes", "--wait", name)
        left = name in client.stack("list")
    after = proxy_polling.sessions(stats, api.proxy_section)
    endpoint = identity.orchestration_endpoint()
    return ClientCalls(
        command=Path(command[0]).name,
        front=str(api.front),
        endpoint=endpoint,
        at_front=leads_to(endpoint, api) if endpoint is not None else None,
        stack=name,
        calls=tuple(client.calls),
        listed=listed,
        shown=shown,
        left=left,
        counted=after - before if before is not None and after is not None else None,
    )


def _command(deployment: Deployment) -> list[str]:
    words = shlex.split(deployment.clients.openstack)
    if not words or shutil.which(words[0]) is None:
        raise EvidenceUnavailable(
            str(deployment.path),
            f"the client {deployment.clients.openstack!r} is not installed here "
            "([clients] openstack = the command that runs it)",
        )
    return words


def _environment(login: Login) -> dict[str, str]:
    """The variables that `openrc` would set, and none of the caller's own cloud."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    return {**kept, **login.environment}


@dataclass
class _Client:
    """The calls of the client, one after another; after a failed one Keystone is asked for a token."""

    deployment: Deployment
    command: list[str]
    environment: Mapping[str, str]
    folder: str
    say: Callable[[str], None]
    calls: list[ClientCall] = field(default_factory=list)

    def stack(self, *words: str) -> str:
        """Call `openstack stack …`, and return its output; empty if it failed.

        Raises EvidenceUnavailable if the client knows no such command: its plugin for Heat is missing.
        """
        verb = words[0]
        self.say(f"openstack stack {verb}")
        shape = ("-f", "json") if verb in ("list", "show") else ()
        argv = [*self.command, "stack", verb, *shape, *words[1:]]
        began = time.monotonic()
        try:
            done = subprocess.run(
                argv,
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CALL_S,
                check=False,
            )
            status, output, errors = done.returncode, done.stdout, done.stderr.strip()
        except subprocess.TimeoutExpired:
            status, output, errors = -1, "", f"did not end within {CALL_S:g} s"
        if status and NO_COMMAND in errors:
            raise EvidenceUnavailable(
                self.command[0], "has no `stack` commands: python-heatclient is not installed beside it"
            )
        took = round(time.monotonic() - began, 2)
        last = errors.splitlines()[-1] if errors and status else ""
        self.calls.append(
            ClientCall(
                words=("stack", *words),
                status=status,
                said=last[:SAID],
                took_s=took,
                keystone=_no_token(self.deployment) if status else "",
            )
        )
        return output if status == 0 else ""


def _state(shown: str) -> str | None:
    try:
        return foreign.text(foreign.member(foreign.json_value(shown), "stack_status"))
    except foreign.UnintelligibleError:
        return None


def _no_token(deployment: Deployment) -> str:
    """Why Keystone gives no token now; empty if it gives one."""
    try:
        session(deployment)
    except InputError as problem:
        return problem.given
    return ""
