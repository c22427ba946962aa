"""Removing the stacks that a run left behind, found by their names."""

from __future__ import annotations

import json

import gevent

from loadtests.api import Target
from loadtests.client import Client
from loadtests.clock import now_ns
from loadtests.rest import RestApi

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
        answer = client.send(api.page(marker, PAGE))
        if answer.error or answer.status != 200:
            gevent.sleep(POLL_S)
            continue
        page = json.loads(answer.body)["stacks"]
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
    """Delete the stacks whose names begin with `prefix`, and wait until they are gone.

    How many were deleted, and how many are still there when time is up (None: that could not be told).
    """
    asked: set[str] = set()
    while True:
        stacks = left(api, client, prefix, until_ns)
        if not stacks or now_ns() >= until_ns:
            return len(asked), len(stacks) if stacks is not None else None
        for stack in stacks:
            if stack.stack_id not in asked and now_ns() < until_ns:
                answer = client.send(api.delete(stack))
                if not answer.error and answer.status in (204, 404):
                    asked.add(stack.stack_id)
        gevent.sleep(POLL_S)
