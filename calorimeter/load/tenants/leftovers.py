"""Removes what a run left in a project, found by name: stacks, software configs and their deployments."""

from __future__ import annotations

from typing import Any

import gevent

from calorimeter.core import foreign
from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Deployment
from calorimeter.core.foreign import UnintelligibleError
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.apis.rest import RestApi, listed
from calorimeter.load.apis.stack_api import StackApi, StackIdentity
from calorimeter.load.http.client import Client, RequestTimeouts
from calorimeter.load.http.connection import front_endpoint

PAGE = 100
MOST = 100_000
"""More stacks or configs of one run than this are no list of Heat's: one that does not end."""

POLL_S = 0.5
CONFIGS = "software_configs"
DEPLOYMENTS = "software_deployments"
TIMEOUTS = RequestTimeouts(connect_s=5.0, first_byte_s=20.0, whole_s=30.0)


def prefix(run_id: str) -> str:
    """The beginning of the names of a run's stacks, configs and tenants."""
    return f"cal-{run_id}-"


class Cleaner:
    """Finds and removes leftovers in one project, through the REST API, whichever API the load used."""

    def __init__(self, api: RestApi, client: Client) -> None:
        self._api = api
        self._client = client

    @classmethod
    def of(cls, deployment: Deployment, token: Token) -> Cleaner:
        """The cleaner of the token's project. Raises InputError if the API's host cannot be resolved."""
        to = front_endpoint(deployment.rest, deployment.tls)
        source = SourceAddresses(deployment.clients.sources).of_family(to.family).of_user(0)
        return cls(RestApi(deployment.rest, to, token), Client(to, source, TIMEOUTS))

    def for_project_of(self, api: StackApi) -> Cleaner:
        """The cleaner of another project, that of a REST API with another token."""
        assert isinstance(api, RestApi)
        return Cleaner(api, self._client)

    def remaining(self, prefix: str, until_ns: int) -> list[StackIdentity] | None:
        """The stacks whose names begin with `prefix`; None if they cannot be listed in time."""
        try:
            return self._stacks(prefix, until_ns)
        finally:
            self._client.close()

    def remove(self, prefix: str, until_ns: int) -> tuple[int, int | None]:
        """Delete the stacks and configs whose names begin with `prefix`; wait until the stacks are gone.

        Returns how many deletes of stacks were accepted, and how many stacks and configs were left in the
        last lists (None if they could not be listed).
        """
        try:
            return self._remove(prefix, until_ns)
        finally:
            self._client.close()

    def _remove(self, prefix: str, until_ns: int) -> tuple[int, int | None]:
        accepted: set[str] = set()
        configs: int | None = None
        left: int | None = None
        while True:
            if configs is None:
                configs = self._remove_configs(prefix, until_ns)
            stacks = self._stacks(prefix, until_ns)
            left = left if stacks is None else len(stacks)
            if now_ns() >= until_ns or (not stacks and configs is not None):
                return len(accepted), None if left is None or configs is None else left + configs
            for stack in stacks or ():
                wanted = stack.stack_id not in accepted and now_ns() < until_ns
                if wanted and self._deleted(self._api.delete(stack)):
                    accepted.add(stack.stack_id)
            gevent.sleep(POLL_S)

    def _remove_configs(self, prefix: str, until_ns: int) -> int | None:
        """Delete configs of these names and their deployments; how many stay, None if there is no list."""
        configs = self._configs(prefix, until_ns)
        if not configs:
            return None if configs is None else 0
        deployments = self._listed(self._api.call("GET", f"/{DEPLOYMENTS}"), DEPLOYMENTS) or []
        paths = [f"/{DEPLOYMENTS}/{each['id']}" for each in deployments if each["config_id"] in configs]
        paths += [f"/{CONFIGS}/{config}" for config in configs]
        return sum(
            now_ns() >= until_ns or not self._deleted(self._api.call("DELETE", path)) for path in paths
        )

    def _stacks(self, prefix: str, until_ns: int) -> list[StackIdentity] | None:
        found: list[StackIdentity] = []
        marker = ""
        while now_ns() < until_ns and len(found) < MOST:
            page = self._listed(self._api.page(marker, PAGE), "stacks")
            if page is None:
                gevent.sleep(POLL_S)
                continue
            found += [
                StackIdentity(stack["stack_name"], stack["id"], stack["id"])
                for stack in page
                if stack["stack_name"].startswith(prefix)
            ]
            if len(page) < PAGE:
                return found
            marker = page[-1]["id"]
        return None

    def _configs(self, prefix: str, until_ns: int) -> set[str] | None:
        found: set[str] = set()
        marker = ""
        while now_ns() < until_ns and len(found) < MOST:
            after = f"&marker={marker}" if marker else ""
            page = self._listed(self._api.call("GET", f"/{CONFIGS}?limit={PAGE}{after}"), CONFIGS)
            if page is None:
                return None
            found |= {config["id"] for config in page if config["name"].startswith(prefix)}
            if len(page) < PAGE:
                return found
            marker = page[-1]["id"]
        return None

    def _listed(self, request: bytes, member: str) -> list[dict[str, str]] | None:
        answer = self._client.send(request)
        if answer.error or answer.status != 200:
            return None
        try:
            return [_entry(each) for each in listed(answer, member)]
        except UnintelligibleError:
            return None

    def _deleted(self, request: bytes) -> bool:
        answer = self._client.send(request)
        return not answer.error and answer.status in (204, 404)


def _entry(given: dict[str, Any]) -> dict[str, str]:
    """What is used of a listed object; its id and a stack's name go out again. A config may be nameless."""
    stack_name = given.get("stack_name")
    return {
        "id": foreign.identifier(given.get("id")),
        "stack_name": "" if stack_name is None else foreign.identifier(stack_name),
        **{key: foreign.text(given.get(key) or "") for key in ("name", "config_id")},
    }
