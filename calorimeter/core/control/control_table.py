"""`[control]` of a deployment file: who writes the commands of parts, and how hosts are reached."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, model_validator

from calorimeter.core.control.controlled_part import KINDS, PartKind
from calorimeter.core.toml import Model, Name

Driver = Literal["systemd", "podman", "docker"]
"""What starts and stops the parts: each is a systemd unit, or a container."""

_UNITS: dict[PartKind, str] = {
    "rest": "heat-api",
    "cfn": "heat-api-cfn",
    "engine": "heat-engine",
    "proxy": "haproxy",
    "keepalived": "keepalived",
    "broker": "rabbitmq-server",
}
_CONTAINERS: dict[PartKind, str] = {
    **{kind: name.replace("-", "_") for kind, name in _UNITS.items()},
    "broker": "rabbitmq",
}

SERVICES: dict[Driver, dict[PartKind, str]] = {
    "systemd": _UNITS,
    "podman": _CONTAINERS,
    "docker": _CONTAINERS,
}
"""Names of services if nothing else is said: the units of Debian and Ubuntu, the containers of kolla."""

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")


def _placeholders(*known: str) -> AfterValidator:
    def check(text: str) -> str:
        for found in _PLACEHOLDER.findall(text):
            if found not in known:
                raise ValueError(f"{found} is no placeholder; valid: {', '.join(known)}")
        return text

    return AfterValidator(check)


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError("a path on the proxy's host begins with /")
    return path


ServicePattern = Annotated[Name, _placeholders("{name}", "{host}", "{number}")]


def filled(pattern: str, **values: str) -> str:
    """A pattern with the values of its placeholders."""
    return _PLACEHOLDER.sub(lambda found: values[found[0][1:-1]], pattern)


class Control(Model):
    """How the commands of parts are written.

    `ssh` is the destination of a host (`root@{host}`); without it all parts run on this machine.
    `ssh_options` are further arguments of ssh (`-F`, `-i`, `-J`). `hosts` maps the name of a host to the
    address that ssh connects to. With `sudo` commands run by `sudo -n`.

    `kinds` are the parts that may be broken. `services` maps a kind to its systemd unit or container
    (`{name}`: the part, `{host}`, `{number}` of the engine on its host). `supervisor` is the systemd unit
    that restarts a container (`{service}`). `haproxy_socket` is the path of a stats socket with level admin
    on the host of each proxy; without it the socket in `[[proxy]] stats` is used, from this machine.
    """

    driver: Driver
    ssh: Annotated[Name, _placeholders("{host}")] | None = None
    ssh_options: tuple[str, ...] = ()
    sudo: bool = False
    hosts: dict[str, Name] = {}
    kinds: tuple[PartKind, ...] = KINDS
    services: dict[PartKind, ServicePattern] = {}
    supervisor: Annotated[Name, _placeholders("{service}")] | None = None
    haproxy_socket: Annotated[str, AfterValidator(_absolute)] | None = None

    @model_validator(mode="after")
    def _supervises_containers(self) -> Control:
        if self.supervisor is not None and self.driver == "systemd":
            raise ValueError("supervisor is for containers; with driver = 'systemd' a service is the unit")
        return self

    def service(self, kind: PartKind, **values: str) -> str | None:
        """The systemd unit or container of a part; None for a kind that has none."""
        pattern = self.services.get(kind) or SERVICES[self.driver].get(kind)
        return filled(pattern, **values) if pattern else None
