"""Tenants: their users and quotas, and the requests to Keystone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keystoneauth1 import exceptions

from calorimeter.core.deployment import Api, Backend, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.login import keystone_login
from calorimeter.core.login.identities import Identity
from calorimeter.core.login.keystone_session import bypasses_proxy
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.load.apis.quota import Quota
from calorimeter.load.tenants import keystone_accounts
from calorimeter.load.tenants.tenants import WeightedRoundRobin, check
from calorimeter.workload.scenario import Load, Scenario, Tenants


def deployment(tmp_path: Path, tenants: int = 0) -> Deployment:
    """A deployment whose secret is in a file."""
    (tmp_path / "secrets.toml").write_text('load = "sesame"\n')
    (tmp_path / "secrets.toml").chmod(0o600)
    identity = Identity(
        auth_url="http://keystone.example:5000/v3",
        username="load",
        password=Secret(file=Path("secrets.toml"), key="load"),
        project="load",
    )
    made = Deployment(
        name="d",
        rest=Api(
            url="http://heat.example:8004/v1",
            proxy_section="rest",
            backends=(Backend(name="rest-1", address="10.0.0.3:8004"),),
        ),
        identity=identity,
        tenants=(identity,) * tenants,
    )
    made._path = tmp_path / "deployment.toml"
    return made


def scenario(count: int) -> Scenario:
    """A scenario with tenants."""
    load = Load(mix={"list": 1.0}, template="tiny.yaml")
    return Scenario(name="s", about="", users=1, duration_s=1, rest=load, tenants=Tenants(count=count))


@given(
    weights=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    users=st.integers(1, 300),
)
def test_users_are_split_by_share(weights: list[int], users: int) -> None:
    """After any number of users each tenant has its share of them, to within one user of a whole round."""
    shares = WeightedRoundRobin(tuple(map(float, weights)))
    counted = Counter(shares.of(number) for number in range(users))
    whole, rest = divmod(users, sum(weights))
    for tenant, weight in enumerate(weights):
        assert whole * weight <= counted[tenant] <= (whole + bool(rest)) * weight


def test_a_noisy_neighbour_has_most_of_the_users() -> None:
    """Shares of 16, 1, 1, 1, 1 give 16 of 20 users to the first, and one to each of the others."""
    shares = WeightedRoundRobin((16.0, 1.0, 1.0, 1.0, 1.0))
    assert Counter(shares.of(number) for number in range(20)) == {0: 16, 1: 1, 2: 1, 3: 1, 4: 1}


def test_a_quota_is_taken_and_given_back() -> None:
    """A tenant has room until its stacks are as many as it may have, and again when one is gone."""
    quota = Quota(2)
    quota.take()
    assert quota.left()
    quota.take()
    assert not quota.left()
    quota.give_back()
    assert quota.left()


def test_accounts_of_a_run_follow_from_the_owners_password(tmp_path: Path) -> None:
    """Name and password follow from run and owner: the same again, others for another run."""
    owner = keystone_login.of(deployment(tmp_path))
    name = keystone_accounts.name("r1", 0)
    first = keystone_accounts.password(owner, name)
    assert first == keystone_accounts.password(owner, name)
    assert first != keystone_accounts.password(owner, keystone_accounts.name("r2", 0))
    assert "sesame" not in first
    login = keystone_login.of_tenant(owner, name, "d", first)
    assert login.password_of_user == ("cal-r1-tenant-0", first)
    assert login.options["project_name"] == "cal-r1-tenant-0"
    assert login.verify is owner.verify


def test_tenants_are_not_created_with_a_token(tmp_path: Path) -> None:
    """Passwords that follow from a token would be lost with it; the line says what is valid."""
    made = keystone_login.of(deployment(tmp_path))
    owner = replace(made, auth_type="v3token", options={"token": "t0ken"}, who="the token")
    with pytest.raises(InputError, match=r"the token cannot create tenants.*or \[\[tenants\]\]") as refused:
        keystone_accounts.password(owner, "x")
    assert "t0ken" not in f"{refused.value} {owner!r}"


def test_fewer_tenants_than_the_scenario_has_are_one_line(tmp_path: Path) -> None:
    """Tenants that are given must be enough; none given means that the run makes them."""
    check(deployment(tmp_path, 0), scenario(3))
    check(deployment(tmp_path, 3), scenario(3))
    with pytest.raises(InputError, match="2 given, and the scenario has 3"):
        check(deployment(tmp_path, 2), scenario(3))


@pytest.mark.parametrize(
    ("url", "direct"),
    [
        ("http://127.0.0.1:5000/v3", True),
        ("http://[::1]:5000/v3", True),
        ("http://localhost:5000", True),
        ("http://heat.example:5000/v3", True),
        ("http://10.0.0.3:5000", True),
        ("https://keystone.example:5000/v3", False),
        ("http://10.0.0.4:5000", False),
    ],
)
def test_loopback_and_the_deployments_own_hosts_are_asked_directly(
    url: str, direct: bool, tmp_path: Path
) -> None:
    """The environment's proxy is not used for this machine and the deployment's hosts."""
    assert bypasses_proxy(deployment(tmp_path), url) is direct


def keystone(tmp_path: Path, answers: dict[str, Any]) -> keystone_accounts.TenantAccounts:
    """A Keystone that gives or raises these answers to `METHOD path`."""

    def request(url: str, method: str, auth: None) -> SimpleNamespace:
        given = answers[f"{method} {url.partition('/v3/')[2]}"]
        if isinstance(given, Exception):
            raise given
        return SimpleNamespace(content=json.dumps(given).encode())

    login = replace(keystone_login.of(deployment(tmp_path)), plugin=None)  # type: ignore[arg-type]
    token: Any = SimpleNamespace(session=SimpleNamespace(request=request), login=login)
    return keystone_accounts.TenantAccounts(token)


PROJECTS = {"projects": [{"name": "cal-r-tenant-0", "id": "p0"}, {"name": "other", "id": "p1"}]}
USERS = {"users": [{"name": "cal-r-tenant-0", "id": "u0"}, {"name": "cal-r-tenant-1", "id": "u1"}]}


def test_tenants_that_keystone_does_not_list_are_not_none(tmp_path: Path) -> None:
    """A user who may not list has created none; a Keystone that cannot be reached is an error."""
    assert keystone(tmp_path, {"GET projects": PROJECTS}).names("r") == ["cal-r-tenant-0"]
    assert keystone(tmp_path, {"GET projects": exceptions.Forbidden()}).names("r") == []
    with pytest.raises(InputError, match="Keystone does not list tenants .*nobody there"):
        keystone(tmp_path, {"GET projects": exceptions.ConnectFailure("nobody there")}).names("r")


ROLES = "GET projects/p0/users/u0/roles"


@pytest.mark.parametrize(
    ("answers", "usable"),
    [
        ({ROLES: {"roles": [{"id": "r"}]}}, ["cal-r-tenant-0"]),
        ({ROLES: {"roles": []}}, []),
        ({ROLES: exceptions.NotFound()}, []),
        ({ROLES: exceptions.Forbidden()}, ["cal-r-tenant-0"]),
        ({"GET users": {"users": []}}, []),
    ],
)
def test_a_tenant_that_was_not_made_whole_needs_no_login(
    tmp_path: Path, answers: dict[str, Any], usable: list[str]
) -> None:
    """A run that was killed as it made its tenants left a project without a user, or one without a role."""
    given = {"GET projects": PROJECTS, "GET users": USERS, **answers}
    assert keystone(tmp_path, given).usable("r") == usable


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ({}, 0),
        ({"DELETE users/u0": exceptions.NotFound()}, 0),
        ({"DELETE users/u0": exceptions.ConnectFailure(), "DELETE projects/p0": exceptions.Conflict()}, 1),
        ({"DELETE users/u0": exceptions.Conflict(), "DELETE users/u1": exceptions.Conflict()}, 2),
        ({"GET users": exceptions.ServiceUnavailable()}, 1),
        ({"GET users": exceptions.Forbidden(), "GET projects": exceptions.Forbidden()}, 0),
    ],
)
def test_tenants_that_could_not_be_removed_are_left(
    tmp_path: Path, answers: dict[str, Any], left: int
) -> None:
    """A tenant whose user or project stays is left; an unreadable list counts as one."""
    gone = dict.fromkeys(("DELETE users/u0", "DELETE users/u1", "DELETE projects/p0"))
    given = {"GET projects": PROJECTS, "GET users": USERS, **gone, **answers}
    assert keystone(tmp_path, given).remove("r") == left
