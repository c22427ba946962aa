"""heat.conf as data, and the writer that turns it into a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Sections = Mapping[str, Mapping[str, str | int | bool]]
"""Section → option → value, in the order of the file."""


@dataclass(frozen=True, slots=True)
class KeystoneAccess:
    """How Heat reaches Keystone: its root URL (without `/v3`) and the service user."""

    url: str
    username: str
    password: str
    project: str = "service"
    domain: str = "Default"
    region: str = "RegionOne"


@dataclass(frozen=True, slots=True)
class StackDomain:
    """The Keystone domain of the users that Heat creates for stacks, and its administrator."""

    name: str
    admin: str
    password: str


@dataclass(frozen=True, slots=True)
class HeatHost:
    """The options that the guide sets for one host, or for one process if several share a machine.

    `transport` and `database` are URLs. `rest_bind` and `cfn_bind` are the (host, port) of the APIs that
    run there. `engine_workers` is the number of processes of its engine. `cfn_url` is the URL at which
    instances reach the CFN API.
    """

    host: str
    transport: str
    database: str
    auth_encryption_key: str
    identity: KeystoneAccess
    stack_domain: StackDomain
    memcached: str
    cfn_url: str
    rest_bind: tuple[str, int] | None = None
    cfn_bind: tuple[str, int] | None = None
    engine_workers: int | None = None
    quorum_queues: bool = False
    rpc_response_timeout_s: int = 60


def sections(heat: HeatHost) -> dict[str, dict[str, str | int | bool]]:
    """The options of a host of a scaled-out Heat."""
    tree: dict[str, dict[str, str | int | bool]] = {
        "DEFAULT": {
            "host": heat.host,
            "transport_url": heat.transport,
            "auth_encryption_key": heat.auth_encryption_key,
            "rpc_response_timeout": heat.rpc_response_timeout_s,
            "region_name_for_services": heat.identity.region,
            "heat_metadata_server_url": heat.cfn_url,
            "heat_waitcondition_server_url": f"{heat.cfn_url}/v1/waitcondition",
            "stack_user_domain_name": heat.stack_domain.name,
            "stack_domain_admin": heat.stack_domain.admin,
            "stack_domain_admin_password": heat.stack_domain.password,
            # Keystone creates no trust for a token from EC2 credentials: with the default (trusts) every
            # CFN CreateStack fails.
            "deferred_auth_method": "password",
        },
        "database": {"connection": heat.database},
        "oslo_messaging_rabbit": {"rabbit_quorum_queue": heat.quorum_queues},
        "clients_keystone": {"auth_uri": heat.identity.url},
        "keystone_authtoken": {
            **_service_user(heat.identity),
            "www_authenticate_uri": heat.identity.url,
            "memcached_servers": heat.memcached,
            "service_token_roles_required": True,
        },
        # Heat appends /v3/ec2tokens to the endpoint, so it must be the root URL.
        "ec2authtoken": {**_service_user(heat.identity), "endpoint_override": heat.identity.url},
        "trustee": {
            "auth_type": "password",
            "auth_url": heat.identity.url,
            "username": heat.identity.username,
            "password": heat.identity.password,
            "user_domain_name": heat.identity.domain,
        },
        # With the new default policies the CFN API answers AccessDenied to every request.
        "oslo_policy": {"enforce_new_defaults": False, "enforce_scope": False},
    }
    if heat.engine_workers is not None:
        tree["DEFAULT"]["num_engine_workers"] = heat.engine_workers
    for section, bind in (("heat_api", heat.rest_bind), ("heat_api_cfn", heat.cfn_bind)):
        if bind is not None:
            tree[section] = {"bind_host": bind[0], "bind_port": bind[1], "workers": 1}
    return tree


def _service_user(identity: KeystoneAccess) -> dict[str, str | int | bool]:
    return {
        "auth_type": "password",
        "auth_url": identity.url,
        "username": identity.username,
        "password": identity.password,
        "project_name": identity.project,
        "user_domain_name": identity.domain,
        "project_domain_name": identity.domain,
        "region_name": identity.region,
    }


def changed(tree: Sections, changes: Sections) -> dict[str, dict[str, str | int | bool]]:
    """A copy of the options with those in `changes` added or replaced."""
    names = dict.fromkeys((*tree, *changes))
    return {name: {**tree.get(name, {}), **changes.get(name, {})} for name in names}


def render(tree: Sections) -> str:
    """The text of the file; `$` in a value is doubled, because oslo.config would substitute it.

    Raises ValueError if a value has a line break.
    """
    return "\n".join(
        f"[{section}]\n" + "".join(f"{name} = {_value(value)}\n" for name, value in options.items())
        for section, options in tree.items()
    )


def _value(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ValueError("an option's value is one line")
    return text.replace("$", "$$")
