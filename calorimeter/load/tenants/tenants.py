"""The tenants of a load: the users, credentials and quota of each."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.sigv4 import Signer
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.apis.keystone_tokens import Token, cfn_signer
from calorimeter.load.apis.quota import Quota
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import StackApi
from calorimeter.load.http.connection import front_endpoint
from calorimeter.load.tenants import keystone_accounts
from calorimeter.workload.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project, as the users of one process use it."""

    name: str
    token: Token
    apis: dict[str, StackApi]
    quota: Quota


class WeightedRoundRobin:
    """Assigns users to tenants by smooth weighted round-robin, which splits any number of users fairly.

    In each turn every tenant gains its weight; the tenant with the highest credit gets the user and pays
    the sum of all weights.
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


class TenantPool:
    """All tenants of a run, as one process uses them."""

    def __init__(self, tenants: tuple[Tenant, ...], weights: tuple[float, ...]) -> None:
        self.all = tenants
        self._shares = WeightedRoundRobin(weights)

    def of(self, number: int) -> Tenant:
        """The tenant of this user."""
        return self.all[self._shares.of(number)]

    def stop_renewing(self) -> None:
        """Stop the renewal of all tokens."""
        for tenant in self.all:
            tenant.token.stop_renewing()


def check_owner(deployment: Deployment, scenario: Scenario, token: Token) -> None:
    """Raise InputError if the run creates its tenants, and this account's kind cannot."""
    if created_by_run(deployment, scenario):
        keystone_accounts.password(token.login, "")


def check(deployment: Deployment, scenario: Scenario) -> None:
    """Raise InputError if a deployment has tenants, but fewer than the scenario needs."""
    wanted, given = scenario.tenants, len(deployment.tenants)
    if wanted is not None and 0 < given < wanted.count:
        raise InputError(
            f"{deployment.path}: tenants",
            f"{given} given, and the scenario has {wanted.count}",
            "valid: as many, or none: the run then creates them",
        )


def created_by_run(deployment: Deployment, scenario: Scenario) -> bool:
    """Whether a run creates its own tenants."""
    return scenario.tenants is not None and not deployment.tenants


def create(deployment: Deployment, scenario: Scenario, token: Token, run_id: str) -> None:
    """Create the tenants of a run, if it needs its own. Raises InputError."""
    if scenario.tenants is not None and created_by_run(deployment, scenario):
        keystone_accounts.TenantAccounts(token).create(run_id, scenario.tenants.count)


def log_in(
    deployment: Deployment, scenario: Scenario, owner: Token, run_id: str, workers: int, tagged: bool
) -> TenantPool | None:
    """Get the credentials of all tenants, and renew their tokens; None if the scenario has no tenants.

    `owner` is the token of the deployment's own identity. The workers share the quota. `tagged`: stacks get
    a tag. Raises InputError.
    """
    wanted = scenario.tenants
    if wanted is None:
        return None
    found = []
    for number in range(wanted.count):
        name, token, signer = _credentials(
            deployment, owner, run_id, number, scenario.load("cfn") is not None
        )
        token.start_renewing()
        most = None if wanted.stacks_max is None else max(1, wanted.stacks_max // workers)
        found.append(Tenant(name, token, _apis(deployment, token, signer, tagged), Quota(most)))
    return TenantPool(tuple(found), wanted.weights)


def _credentials(
    deployment: Deployment, owner: Token, run_id: str, number: int, with_ec2: bool
) -> tuple[str, Token, Signer | None]:
    if deployment.tenants:
        given = deployment.tenants[number]
        token = Token(deployment, keystone_login.of(deployment, given))
        return token.project_name, token, cfn_signer(deployment, given) if with_ec2 else None
    name = keystone_accounts.name(run_id, number)
    token = keystone_accounts.log_in(deployment, owner, name)
    if not with_ec2:
        return name, token, None
    access, secret = keystone_accounts.ec2_of(token)
    return name, token, Signer(access, secret, token.login.region)


def _apis(deployment: Deployment, token: Token, signer: Signer | None, tagged: bool) -> dict[str, StackApi]:
    rest, tls = deployment.rest, deployment.tls
    apis: dict[str, StackApi] = {"rest": RestApi(rest, front_endpoint(rest, tls), token, tagged)}
    cfn = deployment.cfn
    if cfn is not None and signer is not None:
        apis["cfn"] = CfnApi(cfn, front_endpoint(cfn, tls), signer)
    return apis
