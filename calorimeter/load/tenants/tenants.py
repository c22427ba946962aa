"""The tenants of a load: which user belongs to which, with what credentials and what quota."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.sigv4 import Signer
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.apis.keystone_tokens import Token, cfn_signer, identity_of
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import StackApi
from calorimeter.load.http.connection import endpoint
from calorimeter.load.operations import operation_table
from calorimeter.load.operations.quota import Quota
from calorimeter.load.tenants import keystone_accounts
from calorimeter.workload.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project, as the users of one process are in it."""

    name: str
    token: Token
    apis: dict[str, StackApi]
    quota: Quota


class Shares:
    """Which tenant a user belongs to: smooth weighted round-robin, which splits any number of users fairly.

    In each turn every tenant gains its weight; the one with the most has the turn and pays the total.
    """

    def __init__(self, weights: tuple[float, ...]) -> None:
        self._weights = weights
        self._credit = [0.0] * len(weights)
        self._turns: list[int] = []

    def of(self, number: int) -> int:
        """The tenant of this user."""
        while len(self._turns) <= number:
            self._credit = [c + w for c, w in zip(self._credit, self._weights, strict=True)]
            turn = max(range(len(self._weights)), key=self._credit.__getitem__)
            self._credit[turn] -= sum(self._weights)
            self._turns.append(turn)
        return self._turns[number]


class Tenants:
    """All tenants of a run, entered by one process."""

    def __init__(self, tenants: tuple[Tenant, ...], weights: tuple[float, ...]) -> None:
        self.all = tenants
        self._shares = Shares(weights)

    def of(self, number: int) -> Tenant:
        """The tenant of this user."""
        return self.all[self._shares.of(number)]

    def leave(self) -> None:
        """Tokens are renewed no longer."""
        for tenant in self.all:
            tenant.token.let_expire()


def check(deployment: Deployment, scenario: Scenario) -> None:
    """Raise `InputError` where a deployment gives fewer tenants than a scenario needs."""
    wanted, given = scenario.tenants, len(deployment.tenants)
    if wanted is not None and 0 < given < wanted.count:
        raise InputError(
            f"{deployment.path}: tenants",
            f"{given} given, and the scenario has {wanted.count}",
            "valid: as many, or none, and the run makes them",
        )


def made_by_run(deployment: Deployment, scenario: Scenario) -> bool:
    """Whether a run makes its own tenants."""
    return scenario.tenants is not None and not deployment.tenants


def make(deployment: Deployment, scenario: Scenario, token: Token, run_id: str) -> None:
    """Make the tenants of a run where it needs its own; raises `InputError`."""
    if scenario.tenants is not None and made_by_run(deployment, scenario):
        keystone_accounts.Keystone(deployment, token).make(run_id, scenario.tenants.count)


def enter(deployment: Deployment, scenario: Scenario, run_id: str, workers: int) -> Tenants | None:
    """Get tokens and credentials of all tenants, kept fresh; None where the scenario has none.

    A quota is split among the workers. Raises `InputError`.
    """
    wanted = scenario.tenants
    if wanted is None:
        return None
    entered = []
    tagged = operation_table.tagged(scenario)
    for number in range(wanted.count):
        name, token, signer = _credentials(deployment, run_id, number, scenario.load("cfn") is not None)
        token.keep_fresh()
        most = None if wanted.stacks_max is None else max(1, wanted.stacks_max // workers)
        entered.append(Tenant(name, token, _apis(deployment, token, signer, tagged), Quota(most)))
    return Tenants(tuple(entered), wanted.weights)


def _credentials(
    deployment: Deployment, run_id: str, number: int, with_ec2: bool
) -> tuple[str, Token, Signer | None]:
    if deployment.tenants:
        given = deployment.tenants[number]
        token = Token(deployment, given)
        return given.project, token, cfn_signer(deployment, given) if with_ec2 else None
    name = keystone_accounts.name(run_id, number)
    token = Token(deployment, *keystone_accounts.identity(deployment, name))
    if not with_ec2:
        return name, token, None
    access, secret = keystone_accounts.ec2_of(deployment, token)
    return name, token, Signer(access, secret, identity_of(deployment).region)


def _apis(deployment: Deployment, token: Token, signer: Signer | None, tagged: bool) -> dict[str, StackApi]:
    rest = deployment.rest
    apis: dict[str, StackApi] = {
        "rest": RestApi(rest, endpoint(rest.front, rest.parts.scheme, deployment.tls), token, tagged)
    }
    cfn = deployment.cfn
    if cfn is not None and signer is not None:
        apis["cfn"] = CfnApi(cfn, endpoint(cfn.front, cfn.parts.scheme, deployment.tls), signer)
    return apis
