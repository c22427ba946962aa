"""The words of a page beside its figures: numbers up front, environment, topology, method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from calorimeter import statistics
from calorimeter.deployment import Api, Deployment
from calorimeter.statistics import Interval
from reports.figures.style import seconds
from reports.findings import Findings

Rows = list[tuple[str, str]]

_KNOWN = {"schema_version", "id", "started", "deployment", "commands", "environment"}


def size(count: float) -> str:
    """Bytes in a unit that reads well: 12.3 MB, of 1,000,000."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} bytes"


def numbers(found: Findings) -> list[tuple[str, str, str]]:
    """The few figures that stand large at the top: name, value, and what stands small below it."""
    load = found.load
    if load is None:
        return []
    total = load.operations.iloc[-1]
    rows = [("answered as expected", f"{load.rate.estimate:.1f} / s", _bounds(load.rate, "{:.1f}".format))]
    for name, shown in (("p50", "median response time"), ("p99", "99th percentile")):
        taken = Interval(*(float(total[f"response_{name}{end}"]) for end in ("", "_low", "_high")))
        if math.isfinite(taken.estimate):
            rows.append((shown, seconds(taken.estimate), _bounds(taken, seconds)))
    return [
        *rows,
        ("not as expected", f"{int(load.errors['n'].sum()) / load.count * 100:.2f} %", ""),
        ("requests", f"{load.count:,}", f"in {load.duration_s:.0f} s"),
    ]


def _bounds(interval: Interval, text: Any) -> str:
    return f"95 %: {text(interval.low)} to {text(interval.high)}" if interval.known else ""


def environment(found: Findings) -> Rows:
    """The machine and software of the run, from run.json."""
    about: dict[str, Any] = found.about.get("environment") or {}
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
        value = about.get(key)
        shown = size(value) if key == "memory_bytes" and isinstance(value, int) else value
        rows.append((name, "unknown" if shown is None else str(shown)))
    libraries = about.get("libraries") or {}
    rows.append(("Libraries", ", ".join(f"{name} {libraries[name] or '–'}" for name in sorted(libraries))))
    noted = {key: value for key, value in found.about.items() if key not in _KNOWN}
    rows += [(key, text) for key in sorted(noted) for text in [_plain(noted[key])] if text]
    return rows


def _plain(value: object) -> str:
    """A noted value as one line."""
    if isinstance(value, dict):
        return ", ".join(f"{key} = {_plain(value[key])}" for key in sorted(value))
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    return "unknown" if value is None else str(value)


def topology(found: Findings) -> Rows:
    """The deployment's parts, from its file; no secret is in it."""
    deployment = found.deployment
    if deployment is None:
        return []
    return [("Deployment", deployment.name), *_parts(deployment)]


def _parts(deployment: Deployment) -> Iterator[tuple[str, str]]:
    yield "REST", _api(deployment.rest)
    if deployment.cfn is not None:
        yield "CFN", _api(deployment.cfn)
    for proxy in deployment.proxy:
        version = f"HAProxy {proxy.version}" if proxy.version else "version not given"
        yield f"Proxy {proxy.name}", version
    expect = deployment.expect
    yield (
        "Balance wanted",
        f"{expect.balance}, {expect.hash_type}"
        + ("".join(f", {name} weight {weight}" for name, weight in sorted(expect.weights.items()))),
    )
    if deployment.engines is not None:
        engines = deployment.engines
        yield "Engines", f"{', '.join(engines.names)}: {len(engines.names)} × {engines.workers} workers"
    if deployment.broker is not None:
        yield "Broker", f"{deployment.broker.amqp}, vhost {deployment.broker.vhost}"
    if deployment.identity is not None:
        yield "Identity", deployment.identity.auth_url
    yield "Consent", deployment.consent.level.value


def _api(api: Api) -> str:
    backends = ", ".join(f"{backend.name} ({backend.address})" for backend in api.backends)
    return f"{api.url} → section {api.proxy_section}: {backends}"


def method(found: Findings) -> list[str]:
    """How the figures were made, in sentences."""
    load = found.load
    if load is None:
        return ["Gates were run and judged from the evidence kept beside this page; no load was recorded."]
    begins = (load.window.first_ns - load.axis.start_ns) / 1e9
    ends = (load.window.last_ns - load.axis.start_ns) / 1e9
    return [
        f"{load.count:,} requests from {load.sources:,} source addresses; the last answer came "
        f"{load.duration_s:.1f} s after the first request was due.",
        "Response time counts from the moment a request was due, so it includes any wait in the "
        "generator; service time counts from when it was sent. Latencies are of successes "
        "only; failures are counted apart.",
        "Percentiles are exact, from every sample, interpolated between the two nearest ranks (type 7 "
        f"of Hyndman and Fan). One is shown only where at least {statistics.SHOWN_BEYOND} samples lie "
        "beyond it.",
        statistics.WARM_UP_RULE,
        f"{load.window.why} Tables and the percentile curve cover {begins:.1f} s to {ends:.1f} s "
        "(by when a request was due); figures over time cover the whole run.",
        f"Intervals are 95 % bootstraps over whole windows of {load.blocks.bin_s} s, not over requests, "
        f"and are given where there are {statistics.MINIMUM_WINDOWS} windows or more; this is one run, so "
        "they say nothing of how another run would differ.",
    ]
