"""Removing what a run left behind, found by its names: stacks, software configs and their deployments."""

from __future__ import annotations

import json
from typing import Any

import gevent

from calorimeter.core.clock import now_ns
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import Target
from calorimeter.load.http.client import Client

PAGE = 100
POLL_S = 0.5


def prefix(run_id: str) -> str:
    """How the names of a run's stacks begin."""
    return f"cal-{run_id}-"


def left(api: RestApi, client: Client, prefix: str, until_ns: int) -> list[Target] | None:
    """The stacks whose names begin with `prefix`; None where that cannot be told in time."""
    found: list[Target] = []
    marker = ""
    while now_ns() < until_ns:
        page = _listed(client, api.page(marker, PAGE), "stacks")
        if page is None:
            gevent.sleep(POLL_S)
            continue
        found += [
            Target(stack["stack_name"], stack["id"], stack["id"])
            for stack in page
            if stack["stack_name"].startswith(prefix)
        ]
        if len(page) < PAGE:
            return found
        marker = page[-1]["id"]
    return None


def remove(api: RestApi, client: Client, prefix: str, until_ns: int) -> tuple[int, int | None]:
    """Delete the stacks and configs whose names begin with `prefix`, and wait until the stacks are gone.

    How many were deleted, and how many were still there when last seen (None: that could not be told).
    """
    asked: set[str] = set()
    configs: int | None = None
    there: int | None = None
    while True:
        if configs is None:
            configs = _remove_configs(api, client, prefix, until_ns)
        stacks = left(api, client, prefix, until_ns)
        there = there if stacks is None else len(stacks)
        if now_ns() >= until_ns or (not stacks and configs is not None):
            return len(asked), None if there is None or configs is None else there + configs
        for stack in stacks or ():
            if stack.stack_id not in asked and now_ns() < until_ns:
                answer = client.send(api.delete(stack))
                if not answer.error and answer.status in (204, 404):
                    asked.add(stack.stack_id)
        gevent.sleep(POLL_S)


def _remove_configs(api: RestApi, client: Client, prefix: str, until_ns: int) -> int | None:
    """Delete software configs of these names, and what is deployed of them; how many are left.

    None where they cannot be listed.
    """
    configs = _configs(api, client, prefix, until_ns)
    if not configs:
        return None if configs is None else 0
    deployments = _listed(client, api.call("GET", "/software_deployments"), "software_deployments") or []
    paths = [
        f"/software_deployments/{deployment['id']}"
        for deployment in deployments
        if deployment["config_id"] in configs
    ]
    failed = 0
    for path in (*paths, *(f"/software_configs/{config}" for config in configs)):
        if now_ns() >= until_ns:
            failed += 1
            continue
        answer = client.send(api.call("DELETE", path))
        failed += bool(answer.error) or answer.status not in (204, 404)
    return failed


def _configs(api: RestApi, client: Client, prefix: str, until_ns: int) -> set[str] | None:
    found: set[str] = set()
    marker = ""
    while now_ns() < until_ns:
        after = f"&marker={marker}" if marker else ""
        request = api.call("GET", f"/software_configs?limit={PAGE}{after}")
        page = _listed(client, request, "software_configs")
        if page is None:
            return None
        found |= {config["id"] for config in page if str(config["name"]).startswith(prefix)}
        if len(page) < PAGE:
            return found
        marker = page[-1]["id"]
    return None


def _listed(client: Client, request: bytes, what: str) -> list[dict[str, Any]] | None:
    answer = client.send(request)
    if answer.error or answer.status != 200:
        return None
    found: list[dict[str, Any]] = json.loads(answer.body)[what]
    return found
