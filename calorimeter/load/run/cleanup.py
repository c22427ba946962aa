"""Removes everything that a run left, even a killed run: stacks, software configs and tenants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.run.session import LoadSession
from calorimeter.load.tenants import keystone_accounts, leftovers
from calorimeter.load.tenants.leftovers import Cleaner
from calorimeter.load.tenants.tenants import created_by_run
from calorimeter.workload.scenario import Scenario

REMOVE_S = 60.0
"""The time to remove what is left in the tenants of a run that has ended."""


SWEEP_S = 30.0
"""The time for finding and removing stacks whose create had an unknown outcome."""


@dataclass(frozen=True, slots=True)
class CleanupResult:
    """How many stacks (and configs) were removed and are left, and how many tenants."""

    removed: int
    left: int
    tenants_removed: int = 0
    tenants_left: int = 0


def clean_run(deployment: Deployment, run_id: str, until_ns: int) -> CleanupResult:
    """Remove everything of a run. Raises InputError if stacks, configs or tenants cannot be listed."""
    token = Token(deployment)
    keystone = keystone_accounts.TenantAccounts(token)
    names = keystone.names(run_id)
    removed = left = 0
    for cleaner in _cleaners(deployment, token, keystone.usable(run_id)):
        accepted, still = cleaner.remove(leftovers.prefix(run_id), until_ns)
        if still is None:
            raise InputError(str(deployment.rest.url), "its stacks and configs cannot be listed")
        removed, left = removed + accepted, left + still
    if left:
        return CleanupResult(removed, left, 0, len(names))
    tenants_left = keystone.remove(run_id)
    return CleanupResult(removed, left, max(0, len(names) - tenants_left), tenants_left)


def remove_tenants(deployment: Deployment, scenario: Scenario, run_id: str) -> str:
    """Remove the tenants that a run created. Returns a line about what is left, or an empty one."""
    if not created_by_run(deployment, scenario):
        return ""
    try:
        result = clean_run(deployment, run_id, now_ns() + int(REMOVE_S * 1e9))
    except InputError as problem:
        return f"tenants of this run may be left ({problem}); `calorimeter clean` removes them"
    if result.tenants_left:
        return f"{result.tenants_left} tenants of this run are left; `calorimeter clean` removes them"
    return ""


def sweep_unaccounted(session: LoadSession) -> str:
    """Remove stacks whose create had an unknown outcome. Returns a line about those that are left, or an
    empty one."""
    if session.recorders is None or not session.unaccounted:
        return ""
    left = session.sweep(now_ns() + int(SWEEP_S * 1e9))
    if left is None:
        return f"stacks named {session.prefix}… may be left: they could not be listed"
    return f"{left} stacks named {session.prefix}… are left" if left else ""


def _cleaners(deployment: Deployment, token: Token, names: list[str]) -> Iterator[Cleaner]:
    """The cleaners of the deployment's own project, of its tenants, and of those that the run created."""
    yield Cleaner.of(deployment, token)
    for given in deployment.tenants:
        yield Cleaner.of(deployment, Token(deployment, keystone_login.of(deployment, given)))
    for name in names:
        yield Cleaner.of(deployment, keystone_accounts.log_in(deployment, token, name))
