"""A cloud of clouds.yaml, secure.yaml or `OS_*`, read by openstacksdk's own loader."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calorimeter.core import files
from calorimeter.core.errors import InputError, nearest
from calorimeter.core.login.identities import ENVIRONMENT

if TYPE_CHECKING:
    from keystoneauth1.identity.base import BaseIdentityPlugin
    from openstack.config import OpenStackConfig

LARGEST = 2**20
"""Bytes of a clouds.yaml."""

_SELECTORS = {"OS_CLOUD", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE"}


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud as its files describe it. `options` are those of the plugin, secrets included.

    `verify` and `certificate` are the arguments of requests. `source` is the file, or `OS_*`.
    """

    name: str
    source: str
    auth_type: str
    options: Mapping[str, str] = field(repr=False)
    plugin: BaseIdentityPlugin = field(repr=False)
    verify: bool | str
    certificate: str | tuple[str, str] | None
    region: str | None
    interface: str | None

    @property
    def auth_url(self) -> str:
        """Keystone's URL."""
        return self.options.get("auth_url", "")


def read(name: str, file: Path | None = None, region: str | None = None, where: str = "identity") -> Cloud:
    """The cloud called `name` in `file`, or in the first clouds.yaml on openstacksdk's search path.

    `envvars` is what the environment says: `OS_CLOUD`, or else `OS_*`. Raises InputError, which begins with
    `where`, if there is no such file, cloud or region, or if the entry is incomplete.
    """
    config = _config(file, where)
    if name == ENVIRONMENT:
        name = _of_environment(config, where)
    elif config.config_filename is None or name not in config.cloud_config["clouds"]:
        raise _unknown(name, config, file, where)
    source = "OS_*" if name == config.envvar_key else str(config.config_filename)
    return _one(config, name, region, source, f"{where}: cloud {name!r} ({source})")


def _config(file: Path | None, where: str) -> OpenStackConfig:
    from openstack import exceptions
    from openstack.config import OpenStackConfig

    if file is not None and not file.exists():
        raise InputError(f"{where}.clouds_file", f"{file} does not exist", "valid: a clouds.yaml")
    logging.getLogger("openstack.config").setLevel(logging.ERROR)  # files that cannot be parsed
    beside = None if file is None else [str(file.with_name(f"secure{end}")) for end in (".yaml", ".yml")]
    for path in (Path(each) for each in (_search_path() if file is None else [str(file), *(beside or [])])):
        if path.exists():  # openstacksdk opens it by its name, and would wait for a pipe
            files.read(path, limit=LARGEST)
    try:
        return OpenStackConfig(
            config_files=None if file is None else [str(file)],
            secure_files=beside,
            load_envvars=file is None,  # $OS_CLIENT_CONFIG_FILE would take precedence
        )
    except (exceptions.ConfigException, AttributeError, TypeError, RecursionError) as problem:
        given = (
            _line(problem) if isinstance(problem, exceptions.ConfigException) else "is not a clouds.yaml"
        )
        raise InputError(f"{where}.cloud", given, "valid: a clouds.yaml with the key `clouds`") from None


def _of_environment(config: OpenStackConfig, where: str) -> str:
    chosen = os.environ.get("OS_CLOUD") or config.envvar_key
    if chosen not in config.cloud_config["clouds"]:
        missing = f"$OS_CLOUD is {chosen!r}, which no clouds.yaml has" if os.environ.get("OS_CLOUD") else ""
        raise InputError(
            f"{where}.cloud",
            missing or f"{ENVIRONMENT!r} is given, and no OS_* variable describes a cloud",
            "`source openrc.sh`, or export OS_CLOUD=NAME",
        )
    return str(chosen)


def _unknown(name: str, config: OpenStackConfig, file: Path | None, where: str) -> InputError:
    found = config.config_filename
    if found is None:
        looked = [str(file)] if file else _search_path()
        unreadable = next((path for path in looked if Path(path).exists()), None)
        if unreadable:
            return InputError(f"{where}.cloud", f"{unreadable} cannot be read, or is not YAML")
        return InputError(
            f"{where}.cloud",
            f"{name!r} is given, and there is no clouds.yaml (looked for: {', '.join(looked)})",
            "download it from Horizon (Project, API Access), or set clouds_file or $OS_CLIENT_CONFIG_FILE",
        )
    names = sorted(set(config.cloud_config["clouds"]) - {config.envvar_key, "defaults"})
    valid = f"valid: {', '.join(names)}" if names else "the file has no clouds"
    return InputError(f"{where}.cloud", f"{found} has no cloud {name!r}", valid, nearest(name, names))


def _search_path() -> list[str]:
    from openstack.config import loader

    given = os.environ.get("OS_CLIENT_CONFIG_FILE")
    return [
        *([given] if given else []),
        *dict.fromkeys(f"{folder}/clouds.yaml" for folder in loader.CONFIG_SEARCH_PATH),
    ]


def _one(config: OpenStackConfig, name: str, region: str | None, source: str, where: str) -> Cloud:
    from keystoneauth1 import exceptions as keystone
    from keystoneauth1.identity.base import BaseIdentityPlugin
    from openstack import exceptions

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openstacksdk's own, about telemetry
            found = config.get_one(cloud=name, region_name=region or "")
        plugin = found.get_auth()
    except (exceptions.ConfigException, keystone.ClientException) as problem:
        raise InputError(where, _line(problem)) from None
    except (AttributeError, KeyError, TypeError, ValueError) as problem:
        raise InputError(where, f"cannot be used ({type(problem).__name__})") from None
    if not isinstance(plugin, BaseIdentityPlugin):
        kind = found.config.get("auth_type")
        raise InputError(where, f"its auth_type {kind!r} gets no token from Keystone")
    verify, certificate = found.get_requests_verify_args()
    auth = found.config.get("auth") or {}
    if "password" in str(found.config.get("auth_type")) and not auth.get("password"):
        raise InputError(where, "has a user without a password", "valid: in secure.yaml, or in that file")
    return Cloud(
        name=name,
        source=source,
        auth_type=str(found.config.get("auth_type") or "password"),
        options={key: str(value) for key, value in auth.items() if value is not None},
        plugin=plugin,
        verify=True if verify is None else verify,
        certificate=certificate,
        region=found.get_region_name() or None,
        interface=_text(found.config.get("interface")),
    )


def _text(value: object) -> str | None:
    first = value[0] if isinstance(value, list) and value else value
    return str(first).removesuffix("URL") if first else None


def _line(problem: Exception) -> str:
    """The message, without what may contain a value of the file."""
    return str(problem).partition("\n")[0].rstrip(".") or type(problem).__name__
