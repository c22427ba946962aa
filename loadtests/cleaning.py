"""Everything that a run left, also one that was killed: what its tenants have, and the tenants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.deployment import Deployment
from calorimeter.errors import InputError
from loadtests import accounts, clean
from loadtests.identity import Token
from loadtests.session import Cleaning, cleaning


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Stacks that were removed and that are left, and likewise tenants."""

    removed: int
    left: int
    tenants_removed: int = 0
    tenants_left: int = 0


def clean_run(deployment: Deployment, run_id: str, until_ns: int) -> Cleaned:
    """Remove it all; raises `InputError` where stacks cannot be listed."""
    token = Token(deployment)
    keystone = accounts.Keystone(deployment, token)
    names = keystone.names(run_id)
    removed = left = 0
    for door in _doors(deployment, token, names):
        client = door.client()
        gone, there = clean.remove(door.api, client, clean.prefix(run_id), until_ns)
        client.close()
        if there is None:
            raise InputError(str(deployment.rest.url), "its stacks cannot be listed")
        removed, left = removed + gone, left + there
    if left:
        return Cleaned(removed, left, 0, len(names))
    keystone.remove(run_id)
    still = len(keystone.names(run_id))
    return Cleaned(removed, left, len(names) - still, still)


def _doors(deployment: Deployment, token: Token, names: list[str]) -> Iterator[Cleaning]:
    """The deployment's own project, the tenants that it gives, and those that the run made."""
    yield cleaning(deployment, token)
    for given in deployment.tenants:
        yield cleaning(deployment, Token(deployment, given))
    for name in names:
        yield cleaning(deployment, Token(deployment, *accounts.identity(deployment, name)))
