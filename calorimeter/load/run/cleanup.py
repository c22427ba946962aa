"""Everything that a run left, also one that was killed: what its tenants have, and the tenants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.run.session import Cleaning, cleaning
from calorimeter.load.tenants import keystone_accounts, leftovers
from calorimeter.load.tenants.tenants import made_by_run
from calorimeter.workload.scenario import Scenario

REMOVE_S = 60.0
"""For what is left in the tenants of a run that has ended."""


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Stacks that were removed and that are left, and likewise tenants."""

    removed: int
    left: int
    tenants_removed: int = 0
    tenants_left: int = 0


def clean_run(deployment: Deployment, run_id: str, until_ns: int) -> Cleaned:
    """Remove it all; raises `InputError` where stacks, configs or tenants cannot be listed."""
    token = Token(deployment)
    keystone = keystone_accounts.Keystone(deployment, token)
    names = keystone.names(run_id)
    removed = left = 0
    for door in _doors(deployment, token, names):
        client = door.client()
        gone, there = leftovers.remove(door.api, client, leftovers.prefix(run_id), until_ns)
        client.close()
        if there is None:
            raise InputError(str(deployment.rest.url), "its stacks and configs cannot be listed")
        removed, left = removed + gone, left + there
    if left:
        return Cleaned(removed, left, 0, len(names))
    still = keystone.remove(run_id)
    return Cleaned(removed, left, max(0, len(names) - still), still)


def remove_tenants(deployment: Deployment, scenario: Scenario, run_id: str) -> str:
    """Remove the tenants that a run made, once nothing is in them; a line about what is left, or none."""
    if not made_by_run(deployment, scenario):
        return ""
    try:
        done = clean_run(deployment, run_id, now_ns() + int(REMOVE_S * 1e9))
    except InputError as problem:
        return f"tenants of this run may be left ({problem}); `calorimeter clean` removes them"
    if done.tenants_left:
        return f"{done.tenants_left} tenants of this run are left; `calorimeter clean` removes them"
    return ""


def _doors(deployment: Deployment, token: Token, names: list[str]) -> Iterator[Cleaning]:
    """The deployment's own project, the tenants that it gives, and those that the run made."""
    yield cleaning(deployment, token)
    for given in deployment.tenants:
        yield cleaning(deployment, Token(deployment, given))
    for name in names:
        yield cleaning(deployment, Token(deployment, *keystone_accounts.identity(deployment, name)))
