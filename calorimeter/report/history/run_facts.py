"""What a run notes about its environment, as names and values that two runs can be compared by."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from calorimeter.core import files
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import shortened
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.report import circumstances
from calorimeter.report.circumstances import plain, table

Facts = dict[str, str]
"""Name → value, the likeliest causes of a change first."""

MOST_FACTS = 200
LONGEST_NAME = 80
LONGEST_VALUE = 160

_PROGRAMS = {"heat": "Heat", "haproxy": "HAProxy", "rabbitmq": "RabbitMQ"}
_MACHINE = {
    "kernel": "kernel",
    "system": "system",
    "python": "Python",
    "cpus": "CPUs",
    "cpu": "processor",
    "machine": "machine",
    "memory_bytes": "memory",
    "calorimeter": "Calorimeter",
    "git_revision": "git revision",
}
_OTHER_ROWS = ("Deployment", "Versions", "Proxy configuration", "Consent")
"""Rows of a topology that have facts of their own, or cause nothing."""

_LARGEST_SCENARIO = 2**20
_MOST_KEYS = 80
"""Keys of a scenario that are compared one by one; of a longer one, only its digest is."""


def of(run: RunDir, about: Mapping[str, Any], deployment: Deployment | None) -> Facts:
    """The facts of a run, from run.json, its deployment and its scenario; at most `MOST_FACTS`.

    Raises `InputError` if the scenario is too large, or leads out of the run.
    """
    rows = [
        *_programs(deployment),
        *_topology(deployment, about),
        *_load(about),
        *_scenario(run),
        *_machine(table(about.get("environment"))),
    ]
    found: Facts = {}
    for name, value in rows[:MOST_FACTS]:
        key = shortened(name, LONGEST_NAME)
        found[key] = shortened(f"{found[key]}; {value}" if key in found else value, LONGEST_VALUE)
    return found


def _programs(deployment: Deployment | None) -> Iterator[tuple[str, str]]:
    """Versions, with those of Heat and its two companions first."""
    if deployment is None:
        return
    versions = dict(deployment.versions)
    proxies = sorted({proxy.version for proxy in deployment.proxy if proxy.version})
    if "haproxy" not in versions and proxies:
        versions["haproxy"] = ", ".join(proxies)
    for name in [name for name in _PROGRAMS if name in versions] + sorted(
        versions.keys() - _PROGRAMS.keys()
    ):
        yield _PROGRAMS.get(name, name), versions[name]


def _topology(deployment: Deployment | None, about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in circumstances.topology(deployment, about):
        if name.startswith("Proxy ") and name not in _OTHER_ROWS:
            yield name, value.partition(", ")[2] or "no checks described"
        elif name not in _OTHER_ROWS:
            yield name, value
    kept = about.get("proxy_config")
    for each in map(table, kept if isinstance(kept, list) else ()):
        yield f"configuration {each.get('file')}", str(each.get("sha256", "not kept"))[:12]


def _load(about: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    load = table(about.get("load"))
    for key, name in (("duration_s", "load, s"), ("warm_up_s", "warm-up, s"), ("arrivals", "arrivals")):
        if load.get(key) is not None:
            yield name, plain(load[key])
    workers = about.get("workers")
    if isinstance(workers, list):
        yield "generating processes", str(len(workers))
    for name, digest in sorted(table(about.get("templates")).items()):
        yield f"template {name}", str(digest)[:12]


def _scenario(run: RunDir) -> Iterator[tuple[str, str]]:
    """Each key of the scenario; its name, its `about` text and comments do nothing."""
    try:
        content = files.read(run.path / "scenario.toml", limit=_LARGEST_SCENARIO, within=run.path)
    except files.MissingFileError:
        return
    rows = []
    with suppress(ValueError, RecursionError):  # whoever wrote that
        tree = tomllib.loads(content.decode())
        done = {key: value for key, value in tree.items() if key not in ("name", "about")}
        rows = [(f"scenario {key}", value) for key, value in _flat(done, "")]
    if not 0 < len(rows) <= _MOST_KEYS:
        rows = [("scenario", f"SHA-256 {hashlib.sha256(content).hexdigest()[:12]}")]
    yield from rows


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, default=str, ensure_ascii=False)


def _machine(environment: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, name in _MACHINE.items():
        value = environment.get(key)
        if value is not None:
            yield (
                name,
                circumstances.size(value) if key == "memory_bytes" and _is_number(value) else plain(value),
            )
    for name, version in sorted(table(environment.get("libraries")).items()):
        yield f"library {name}", plain(version)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
