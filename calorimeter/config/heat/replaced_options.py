"""Options that Heat does without and for which its libraries name no replacement."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.config.heat import known_options
from calorimeter.config.heat.known_options import OptionName, Reading


@dataclass(frozen=True, slots=True)
class Replacement:
    """Why an option has no effect, and the option that has it today, which takes another value.

    `moot`: nothing is lost with it, so that it can be removed.
    """

    why: str
    instead: OptionName | None = None
    moot: bool = False


_KEYSTONE = "keystone_authtoken"
_BOUND = ("bind_host", "bind_port", "backlog", "workers", "max_header_line", "tcp_keepidle")

_MOOT = {
    ("DEFAULT", "rpc_backend"): "the driver is the scheme of transport_url",
    ("DEFAULT", "verbose"): "use debug",
    ("DEFAULT", "use_syslog_rfc_format"): "the format is always RFC 5424",
    ("DEFAULT", "heat_watch_server_url"): "the CloudWatch API was removed",
    ("DEFAULT", "enable_cloud_watch_lite"): "the CloudWatch API was removed",
    ("DEFAULT", "instance_user"): "Heat uses the user of the image",
    (_KEYSTONE, "signing_dir"): "there are no PKI tokens any longer",
}
_REPLACED = {
    "auth_host": "auth_url",
    "auth_port": "auth_url",
    "auth_protocol": "auth_url",
    "identity_uri": "auth_url",
    "admin_user": "username",
    "admin_password": "password",
    "admin_tenant_name": "project_name",
    "admin_token": "username",
}
_EC2 = {
    "auth_uri": ("use auth_type with the service user, and endpoint_override", "auth_type"),
    "ca_file": ("use cafile", "cafile"),
    "cert_file": ("use certfile", "certfile"),
    "key_file": ("use keyfile", "keyfile"),
}
REPLACED: dict[OptionName, Replacement] = {
    **{OptionName(*name): Replacement(why, moot=True) for name, why in _MOOT.items()},
    **{
        OptionName(_KEYSTONE, old): Replacement(f"use {new}", OptionName(_KEYSTONE, new))
        for old, new in _REPLACED.items()
    },
    **{
        OptionName("ec2authtoken", old): Replacement(why, OptionName("ec2authtoken", new))
        for old, (why, new) in _EC2.items()
    },
    **{
        OptionName(group, key): Replacement("the program that serves the API as WSGI decides it")
        for group in ("heat_api", "heat_api_cfn")
        for key in _BOUND
    },
}


def moved(group: str, key: str) -> tuple[OptionName, ...]:
    """Where an option of RabbitMQ went that once was in [DEFAULT]."""
    if group != "DEFAULT" or not key.startswith(("kombu_", "rabbit_")):
        return ()
    found = known_options.look_up("oslo_messaging_rabbit", key)
    if found.reading in (Reading.GONE, Reading.RENAMED):
        return found.instead
    if found.reading in (Reading.READ, Reading.ENDING):
        return (OptionName("oslo_messaging_rabbit", key),)
    return ()
