"""The unmodified `openstack` client, as an operator types it."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from keystoneauth1 import exceptions

from calorimeter.core.deployment import Api, Deployment
from calorimeter.core.errors import InputError
from calorimeter.gates.context import Context
from calorimeter.gates.evidence import proxy_polling
from calorimeter.gates.evidence.identity import session
from calorimeter.gates.evidence.stats_sources import proxy_stats_if_visible
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.proxy.front import Call, ClientCalls

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
    """List, create, list, show, delete, list; `EvidenceUnavailable` where there is no client.

    `InputError` where Keystone lets nobody in: then nothing would be asked of Heat.
    """
    command = _command(context.deployment)
    environment = _environment(context.deployment)
    session(context.deployment)
    api = context.api("rest")
    stats = proxy_stats_if_visible(context.deployment)
    before = proxy_polling.sessions(stats, api.proxy_section)
    name = f"calorimeter-p3-{secrets.token_hex(4)}"
    with TemporaryDirectory(prefix="calorimeter-") as folder:
        template = Path(folder) / "tiny.yaml"
        template.write_text(TEMPLATE, encoding="utf-8")
        environment["OS_CLIENT_CONFIG_FILE"] = f"{folder}/none.yaml"
        client = _Client(command, environment, folder, lambda: _locked_out(context.deployment))
        client.stack("list")
        try:
            client.stack("create", "--wait", "-t", str(template), name)
            listed = name in client.stack("list")
            shown = _state(client.stack("show", name))
        finally:
            client.stack("delete", "--yes", "--wait", name)
        left = name in client.stack("list")
    after = proxy_polling.sessions(stats, api.proxy_section)
    endpoint = _endpoint(context.deployment)
    return ClientCalls(
        command=Path(command[0]).name,
        front=str(api.front),
        endpoint=endpoint,
        at_front=_at_front(api, endpoint) if endpoint is not None else None,
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


def _environment(deployment: Deployment) -> dict[str, str]:
    """What `openrc` would set, and nothing of the caller's own cloud."""
    who = deployment.identity
    if who is None:
        raise EvidenceUnavailable(str(deployment.path), "has no [identity], which this gate needs")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    mine = {
        "OS_AUTH_URL": who.auth_url,
        "OS_USERNAME": who.username,
        "OS_PASSWORD": deployment.reveal(who.password),
        "OS_PROJECT_NAME": who.project,
        "OS_USER_DOMAIN_NAME": who.user_domain,
        "OS_PROJECT_DOMAIN_NAME": who.project_domain,
        "OS_IDENTITY_API_VERSION": "3",
    }
    if who.region:
        mine["OS_REGION_NAME"] = who.region
    if deployment.tls.ca_file:
        mine["OS_CACERT"] = str(deployment.tls.ca_file)
    return {**kept, **mine}


class _Client:
    """The client's calls, one after another; a failed one makes those after it empty, not wrong.

    `locked_out` is asked after a failed one: why Keystone lets nobody in, empty where it does.
    """

    def __init__(
        self,
        command: list[str],
        environment: Mapping[str, str],
        folder: str,
        locked_out: Callable[[], str],
    ) -> None:
        self.calls: list[Call] = []
        self._command = command
        self._environment = environment
        self._folder = folder
        self._locked_out = locked_out

    def stack(self, *words: str) -> str:
        """`openstack stack …`; its output, empty where it failed.

        Raises `EvidenceUnavailable` where the client knows no such command: it lacks Heat's part.
        """
        verb = words[0]
        shape = ("-f", "json") if verb in ("list", "show") else ()
        argv = [*self._command, "stack", verb, *shape, *words[1:]]
        began = time.monotonic()
        try:
            done = subprocess.run(
                argv,
                env=dict(self._environment),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CALL_S,
                check=False,
            )
            status, output, said = done.returncode, done.stdout, done.stderr.strip()
        except subprocess.TimeoutExpired:
            status, output, said = -1, "", f"no end within {CALL_S:g} s"
        if status and NO_COMMAND in said:
            raise EvidenceUnavailable(
                self._command[0], "has no `stack` commands: python-heatclient is not installed beside it"
            )
        took = round(time.monotonic() - began, 2)
        last = said.splitlines()[-1] if said and status else ""
        self.calls.append(
            Call(
                words=("stack", *words),
                status=status,
                said=last[:SAID],
                took_s=took,
                keystone=self._locked_out() if status else "",
            )
        )
        return output if status == 0 else ""


def _state(shown: str) -> str | None:
    try:
        return str(json.loads(shown)["stack_status"])
    except (ValueError, KeyError, TypeError):
        return None


def _endpoint(deployment: Deployment) -> str | None:
    """Where the catalog sends clients of the orchestration service; None where it does not say."""
    who = deployment.identity
    region = who.region if who else None
    try:
        found = session(deployment).session.get_endpoint(
            service_type="orchestration", interface="public", region_name=region
        )
    except (exceptions.ClientException, InputError):
        return None
    return str(found) if found else None


def _at_front(api: Api, endpoint: str) -> bool:
    """Whether an endpoint is the front address: by another name for its host, or without a usual port."""
    try:
        return proxy_polling.same_place(api.model_copy(update={"url": endpoint}).front, api.front)
    except ValueError:
        return False


def _locked_out(deployment: Deployment) -> str:
    """Why Keystone gives no token now; empty where it gives one."""
    try:
        session(deployment)
    except InputError as problem:
        return problem.given
    return ""
