"""Reads the files that an operator names, as the inputs of `audit` and `describe`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import get_args

from calorimeter.config import wanted
from calorimeter.config.audit.sections import section_questions
from calorimeter.config.audit.subject import HeatFiles, Inputs, Texts, build
from calorimeter.config.host_patterns import each_host
from calorimeter.config.hosts import split_url, without_brackets
from calorimeter.config.other_proxies import first_statement, program_of
from calorimeter.core import files
from calorimeter.core.deployment import Address, Deployment, HeatRole, address_of_url
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.secrecy.masking import mask

_HAPROXY = re.compile(
    r"^[ \t]*(global|defaults|listen|frontend|backend|userlist|peers|resolvers)\b(?![ \t]*[=:])",
    re.MULTILINE,
)
LIMIT = 8 * 2**20
"""Bytes of a configuration file: 60,000 servers of HAProxy take half of it."""
_PROXY_NAME = re.compile(r"[\w.-]+")
_GROUP = re.compile(r"^\[[^\]\n]+\]", re.MULTILINE)
_OSLO = re.compile(r"^\[[\w.-]+\][ \t]*$|^[a-z_]+[ \t]*=", re.MULTILINE)


def from_files(proxies: Sequence[Path | str], heat: Sequence[str], others: Sequence[str] = ()) -> Inputs:
    """Read named files.

    `proxies` are the files of one HAProxy, in order; NAME=FILE each for several. `heat` are
    `HOST[:ROLE[,ROLE]]=FILE[,FILE…]`, one for each process. `others` are of either kind, which their
    content decides. `{host}` stands for the name of each host (see `each_host`). Raises InputError if a
    file cannot be read or is of neither kind.
    """
    named = _by_proxy(proxies)
    proxy_texts = list(_proxy_texts(named.pop("", ())))
    heat_texts = [_heat_process(process) for given in heat for process in each_host(given)]
    for given in others:
        host, equals, _ = given.partition("=")
        if equals and host and not Path(given).exists():
            heat_texts.extend(_heat_process(process) for process in each_host(given))
            continue
        path = Path(given)
        texts = read_texts(path, "*.cfg" if any(path.glob("*.cfg")) else "*.conf")
        if _kind(path, texts) == "haproxy":
            proxy_texts.extend(texts)
        else:
            heat_texts.append(HeatFiles(path.stem.removeprefix("heat-") or path.stem, texts))
    if proxy_texts and named:
        raise _unnamed(proxy_texts[0][0], named)
    named_texts = {name: _proxy_texts(paths) for name, paths in named.items()}
    if proxy_texts:
        named_texts["proxy"] = tuple(proxy_texts)
    if not named_texts and not heat_texts:
        raise InputError(
            "audit", "no file given", "valid: HAProxy's configuration, heat.conf, deployment.toml"
        )
    return Inputs(
        proxies=tuple(named_texts.items()),
        heat=tuple(heat_texts),
        environment=dict(os.environ),
    )


def _by_proxy(given: Sequence[Path | str]) -> dict[str, list[Path]]:
    """Name of a proxy → its files; those without a name are the proxy named "" here.

    A file whose own name has an equals sign is one without a name, if it exists.
    """
    found: dict[str, list[Path]] = {}
    for each in given:
        name, equals, file = str(each).partition("=")
        if not str(each):
            raise InputError("--proxy", "'' given", "valid: FILE, or NAME=FILE as in lb1=lb1.cfg")
        if not equals or Path(each).exists():
            name, file = "", str(each)
        elif not _PROXY_NAME.fullmatch(name) or not file:
            raise InputError(
                "--proxy", f"{str(each)!r} given", "valid: FILE, or NAME=FILE as in lb1=lb1.cfg"
            )
        found.setdefault(name, []).append(Path(file))
    return found


def _unnamed(file: str, named: Mapping[str, object]) -> InputError:
    return InputError(
        "--proxy",
        f"{file} has no NAME, but other files have one: {', '.join(named)}",
        "valid: NAME=FILE for each file, or FILE for each if all are one proxy's",
    )


def from_deployment(deployment: Deployment) -> Inputs:
    """Read the files that a deployment file names. Raises InputError if it names none."""
    folder = deployment.path.parent
    proxies = []
    for proxy in deployment.proxy:
        proxy_texts = _proxy_texts([_near(folder, path) for path in proxy.config])
        if proxy_texts:
            proxies.append((proxy.name, proxy_texts))
    heat = []
    for conf in deployment.heat_conf:
        own = _heat_texts([_near(folder, path) for path in conf.files])
        heat.append(HeatFiles(conf.host, own, frozenset(conf.roles) or None))
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
        ask_haproxy=frozenset(proxy.name for proxy in deployment.proxy if proxy.check_with_haproxy),
        **wanted.of_deployment(deployment),
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
            raise InputError(f"--{api}-url", f"{mask(url)!r} given", "valid: http://HOST:PORT/PATH")
        found[api] = address_of_url(parts)
    return found


def require_apis(inputs: Inputs) -> None:
    """Raise InputError if it is not plain which sections of the proxies serve Heat's APIs."""
    section_questions.require_apis(build(inputs))


def _heat_process(given: str) -> HeatFiles:
    process, equals, paths = given.partition("=")
    host, roles = _host_and_roles(process)
    if not equals or not host.strip() or not paths.strip(", "):
        raise InputError(
            "--heat-conf", f"{given!r} given", "valid: HOST=FILE or HOST:ROLE=FILE, as in B=heat-b.conf"
        )
    return HeatFiles(host, _heat_texts([Path(file) for file in paths.split(",") if file]), roles)


def _heat_texts(paths: Sequence[Path]) -> Texts:
    """The files of one process, in order. A folder may be empty if there are other files (`conf.d`)."""
    shown = [path for path in paths if len(paths) == 1 or not path.is_dir() or any(path.glob("[!.]*.conf"))]
    texts = tuple(text for path in shown or paths for text in read_texts(path, "*.conf"))
    for name, text in texts:
        if _HAPROXY.search(text) and not _GROUP.search(text):
            raise InputError(name, "is a HAProxy configuration", "valid here: a heat.conf, with [DEFAULT]")
    return texts


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


def _proxy_texts(paths: Sequence[Path]) -> Texts:
    """The texts of the files of one HAProxy. Raises InputError if none has a section of HAProxy."""
    texts = tuple(text for path in paths for text in read_texts(path, "*.cfg"))
    _require_haproxy(texts)
    return texts


def read_texts(path: Path, pattern: str) -> Texts:
    """Read a file, or the files of a folder that match a pattern, as HAProxy and oslo.config do.

    Hidden files of a folder are left out; the order is that of the bytes of their names. Bytes that are not
    UTF-8 are read as surrogates, so that a corrected file keeps them. Raises InputError if a file cannot be
    read or a folder has no such file.
    """
    named = [path]
    if path.is_dir():
        found_there = (file for file in path.glob(pattern) if file.is_file() and file.name[0] != ".")
        named = sorted(found_there, key=lambda file: os.fsencode(file.name))
    if not named:
        raise InputError(str(path), f"is a folder without {pattern}")
    return tuple(
        (str(file), files.read_text(file, errors="surrogateescape", limit=LIMIT)) for file in named
    )


def _require_haproxy(texts: Sequence[tuple[str, str]]) -> None:
    """Raise InputError if no file has a section of HAProxy."""
    if texts and not any(_HAPROXY.search(text) for _, text in texts):
        name, text = texts[0]
        number, statement = first_statement(text)
        if not statement:
            raise InputError(name, "is empty", "valid: HAProxy's configuration")
        looks = program_of(text)
        raise InputError(
            f"{name}:{number}",
            f"{mask(statement)[:60]!r} is not a statement of HAProxy"
            + (f" (it looks like {looks})" if looks else ""),
            "valid: HAProxy's configuration, with sections like `frontend NAME`, `backend NAME`",
        )


def _kind(path: Path, texts: Texts) -> str:
    text = "".join(text for _, text in texts)
    if program_of(text) and not _HAPROXY.search(text):
        _require_haproxy(texts)
    if _HAPROXY.search(text):
        return "haproxy"
    if _OSLO.search(text):
        return "heat"
    raise InputError(
        str(path),
        "is neither a HAProxy configuration nor a heat.conf",
        "valid: a file with sections `listen NAME` or `[DEFAULT]`",
    )
