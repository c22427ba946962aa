"""The machine, the software and the parts of a deployment, as every published page lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calorimeter.core.deployment import Api, Deployment

Rows = list[tuple[str, str]]
"""Pairs of a name and its value, in the order in which they are shown."""


def size(count: float) -> str:
    """Bytes with a decimal unit: 12.3 MB."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} bytes"


def table(value: object) -> dict[str, Any]:
    """A table of run.json; empty if it is of another type, as another version may have written it."""
    return value if isinstance(value, dict) else {}


def plain(value: object) -> str:
    """A value of run.json as one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {plain(value[key])}" for key in sorted(value))
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return "unknown" if value is None else str(value)


def machine(environment: Mapping[str, Any]) -> Rows:
    """The machine and its software, as `calorimeter.core.host.environment.capture` gives them."""
    names = {
        "calorimeter": "Calorimeter",
        "git_revision": "Git revision",
        "python": "Python",
        "system": "System",
        "kernel": "Kernel",
        "machine": "Machine",
        "cpu": "Processor",
        "cpus": "Processors usable",
        "memory_bytes": "Memory",
    }
    rows = []
    for key, name in names.items():
        value = environment.get(key)
        shown = size(value) if key == "memory_bytes" and isinstance(value, int) else value
        rows.append((name, "unknown" if shown is None else str(shown)))
    libraries = table(environment.get("libraries"))
    rows.append(("Libraries", ", ".join(f"{name} {libraries[name] or '–'}" for name in sorted(libraries))))
    return rows


def topology(deployment: Deployment | None, about: Mapping[str, Any]) -> Rows:
    """A run's deployment, its parts and its proxy's configuration, from deployment.toml and run.json."""
    rows = [("Deployment", deployment.name), *parts(deployment)] if deployment else []
    return rows + [("Proxy configuration", each) for each in _configurations(about)]


def _configurations(about: Mapping[str, Any]) -> Iterator[str]:
    kept = about.get("proxy_config")
    for each in map(table, kept if isinstance(kept, list) else ()):
        file = each.get("file", "")
        if "sha256" in each:
            yield f"{file}, SHA-256 {each['sha256']} (of the copy {each.get('copy')}, passwords masked)"
        else:
            yield f"{file}: {each.get('unavailable', 'not kept')}"
    if not kept:
        yield "not kept: deployment.toml names no file for it (config)"


def parts(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """The parts of a deployment, from its file; without secrets."""
    yield "REST", _api(deployment.rest)
    if deployment.cfn is not None:
        yield "CFN", _api(deployment.cfn)
    for proxy in deployment.proxy:
        version = f"HAProxy {proxy.version}" if proxy.version else "version not given"
        if checks := proxy.checks:
            version += f", checks every {checks.inter_s:g} s, fall {checks.fall}, rise {checks.rise}"
        yield f"Proxy {proxy.name}", version
    yield from _balances(deployment)
    if deployment.engines:
        yield "Engines", "; ".join(str(group) for group in deployment.engines)
    if deployment.broker is not None:
        yield "Broker", f"{', '.join(deployment.broker.amqp)}, vhost {deployment.broker.vhost}"
    if deployment.identity is not None:
        yield "Identity", deployment.identity.described
    if deployment.versions:
        versions = sorted(deployment.versions.items())
        yield "Versions", ", ".join(f"{name} {version}" for name, version in versions)
    yield "Consent", deployment.consent.level.value


def _balances(deployment: Deployment) -> Iterator[tuple[str, str]]:
    """How the proxy is to balance; one row if both APIs are balanced alike."""
    found = {}
    for api in ("rest", "cfn") if deployment.cfn else ("rest",):
        wanted = deployment.expect.of(api)
        weights = "".join(f", {name} weight {weight}" for name, weight in sorted(wanted.weights.items()))
        found[api] = f"{wanted.balance}, {wanted.hash_type}{weights}"
    if len({*found.values()}) == 1:
        yield "Balance expected", found["rest"]
    else:
        yield from ((f"Balance expected of {api.upper()}", text) for api, text in found.items())


def _api(api: Api) -> str:
    backends = ", ".join(f"{backend.name} ({backend.address})" for backend in api.backends)
    return f"{api.url} → section {api.proxy_section}: {backends}"
