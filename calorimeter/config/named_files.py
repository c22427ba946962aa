"""Reads the files that an operator names, as the inputs of `audit` and `describe`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import get_args

from calorimeter.config.audit.subject import HeatFiles, Inputs, Texts, build
from calorimeter.config.hosts import split_url, without_brackets
from calorimeter.core.deployment import Address, Deployment, HeatRole
from calorimeter.core.errors import InputError, unknown

_HAPROXY = re.compile(
    r"^[ \t]*(global|defaults|listen|frontend|backend|userlist|peers|resolvers)\b(?![ \t]*[=:])",
    re.MULTILINE,
)
_OSLO = re.compile(r"^\[[\w.-]+\][ \t]*$|^[a-z_]+[ \t]*=", re.MULTILINE)


def from_files(proxies: Sequence[Path], heat: Sequence[str], files: Sequence[str] = ()) -> Inputs:
    """Read named files.

    `proxies` are the files of one HAProxy, in order. `heat` are `HOST[:ROLE[,ROLE]]=FILE[,FILE…]`, one for
    each process. `files` are of either kind, which their content decides. Raises InputError if a file
    cannot be read or is of neither kind.
    """
    proxy_texts = [text for path in proxies for text in read_texts(path, "*.cfg")]
    heat_texts = [_heat_process(given) for given in heat]
    for given in files:
        host, equals, _ = given.partition("=")
        if equals and host and not Path(given).exists():
            heat_texts.append(_heat_process(given))
            continue
        path = Path(given)
        texts = read_texts(path, "*.cfg" if any(path.glob("*.cfg")) else "*.conf")
        if _kind(path, texts) == "haproxy":
            proxy_texts.extend(texts)
        else:
            heat_texts.append(HeatFiles(path.stem.removeprefix("heat-") or path.stem, texts))
    if not proxy_texts and not heat_texts:
        raise InputError(
            "audit", "no file given", "valid: HAProxy's configuration, heat.conf, deployment.toml"
        )
    return Inputs(
        proxies=(("proxy", tuple(proxy_texts)),) if proxy_texts else (),
        heat=tuple(heat_texts),
        environment=dict(os.environ),
    )


def from_deployment(deployment: Deployment) -> Inputs:
    """Read the files that a deployment file names. Raises InputError if it names none."""
    folder = deployment.path.parent
    proxies = []
    for proxy in deployment.proxy:
        texts = [text for path in proxy.config for text in read_texts(_near(folder, path), "*.cfg")]
        if texts:
            proxies.append((proxy.name, tuple(texts)))
    heat = []
    for conf in deployment.heat_conf:
        texts = [text for path in conf.files for text in read_texts(_near(folder, path), "*.conf")]
        heat.append(HeatFiles(conf.host, tuple(texts), frozenset(conf.roles) or None))
    if not proxies and not heat:
        raise InputError(
            str(deployment.path),
            "names no files to audit",
            'valid: config = ["haproxy.cfg"] in [[proxy]], and [[heat_conf]] with host and files',
        )
    apis = {"rest": deployment.rest, "cfn": deployment.cfn}
    return Inputs(
        proxies=tuple(proxies),
        heat=tuple(heat),
        environment=dict(os.environ),
        sections={name: api.proxy_section for name, api in apis.items() if api},
        fronts={name: api.front for name, api in apis.items() if api},
        engines=frozenset(deployment.engine_consumers) or None,
        max_detection_s=deployment.expect.max_detection_s or Inputs().max_detection_s,
    )


def with_options(inputs: Inputs, **options: object) -> Inputs:
    """A copy of the inputs with the options that are given (not None)."""
    given = {name: value for name, value in options.items() if value is not None}
    return replace(inputs, **given) if given else inputs  # type: ignore[arg-type]


def fronts(urls: Mapping[str, str | None]) -> dict[str, Address]:
    """API → front address, of the front URLs that are given. Raises InputError if one is not a URL."""
    found = {}
    for api, url in urls.items():
        if not url:
            continue
        parts = split_url(url)
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"--{api}-url", f"{url!r} given", "valid: http://HOST:PORT/PATH")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found[api] = Address(host=parts.hostname, port=port)
    return found


def require_apis(inputs: Inputs) -> None:
    """Raise InputError if the files of a proxy have no section that serves one of Heat's APIs.

    An audit of another service's files would find nothing, which would look like a good result.
    """
    for proxy in build(inputs).proxies:
        services = proxy.configuration.services
        names = {name for service in services for name in (service.name, service.front.name)}
        files = ", ".join(file.name for file in proxy.configuration.tree.files)
        for api, section in inputs.sections.items():
            if section not in names:
                raise unknown(files, f"section of the {api.upper()} API", section, names or {"none"})
        if not any(True for _ in proxy.api_services):
            raise InputError(
                files,
                "no section is recognized as Heat's REST or CFN API",
                f"name it with --rest-section; with servers: {', '.join(sorted(names)) or 'none'}",
            )


def _heat_process(given: str) -> HeatFiles:
    process, equals, files = given.partition("=")
    host, roles = _host_and_roles(process)
    if not equals or not host or not files:
        raise InputError(
            "--heat-conf", f"{given!r} given", "valid: HOST=FILE or HOST:ROLE=FILE, as in B=heat-b.conf"
        )
    texts = [text for file in files.split(",") if file for text in read_texts(Path(file), "*.conf")]
    return HeatFiles(host, tuple(texts), roles)


def _host_and_roles(process: str) -> tuple[str, frozenset[HeatRole] | None]:
    """The host and the roles of `HOST[:ROLE[,ROLE]]`. No role can be a part of an IPv6 address."""
    host, colon, said = process.rpartition(":")
    if not colon or _is_address(process):
        return process, None
    names: dict[str, HeatRole] = {role: role for role in get_args(HeatRole)}
    for name in said.split(","):
        if name not in names:
            raise unknown("--heat-conf", "role", name, names)
    return without_brackets(host), frozenset(names[name] for name in said.split(","))


def _is_address(host: str) -> bool:
    try:
        ip_address(without_brackets(host))
    except ValueError:
        return False
    return True


def _near(folder: Path, path: Path) -> Path:
    """A path of a deployment file, relative to the working directory if it is below it."""
    found = folder / path
    return found.relative_to(Path.cwd()) if found.is_relative_to(Path.cwd()) else found


def read_texts(path: Path, pattern: str) -> Texts:
    """Read a file, or the files of a folder that match a pattern, in the order of their names.

    Bytes that are not UTF-8 are read as surrogates, so that a corrected file keeps them. Raises InputError
    if a file cannot be read or a folder has no such file.
    """
    files = sorted(path.glob(pattern)) if path.is_dir() else [path]
    if not files:
        raise InputError(str(path), f"is a folder without {pattern}")
    found = []
    for file in files:
        try:
            found.append((str(file), file.read_bytes().decode("utf-8", "surrogateescape")))
        except OSError as problem:
            raise InputError(str(file), f"cannot be read ({problem.strerror})") from problem
    return tuple(found)


def _kind(path: Path, texts: Texts) -> str:
    text = "".join(text for _, text in texts)
    if _HAPROXY.search(text):
        return "haproxy"
    if _OSLO.search(text):
        return "heat"
    raise InputError(
        str(path),
        "is neither a HAProxy configuration nor a heat.conf",
        "valid: a file with sections `listen NAME` or `[DEFAULT]`",
    )
