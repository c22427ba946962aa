"""Where spans and metrics go (`trace --otlp`, `export --otlp`), and how requests were asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from calorimeter.core import asked_route, files, otlp_sender
from calorimeter.core.asked_route import AskedRoute
from calorimeter.core.otlp_sender import TelemetrySignal
from calorimeter.core.recorded.rundir import RunDir

if TYPE_CHECKING:
    from calorimeter.core.deployment import Deployment
    from calorimeter.core.trace_span import TraceSpan
    from calorimeter.export.otlp_values import ExportedRun
    from calorimeter.gates.request_path.http_spans import HttpTarget
    from calorimeter.gates.request_path.path import SentRequest
    from calorimeter.gates.request_path.traced_spans import Targets

OPTION = "--otlp"

SPANS = re.compile(rb'\A\{"resourceSpans":')
"""How a file of spans begins."""

WHAT = "spans as OTLP JSON"


def routes() -> dict[tuple[str, str], AskedRoute]:
    """How the operations of loads are asked for, by API and operation."""
    from calorimeter.load.operations.operation_table import REGISTRY

    return {kind: AskedRoute(op.method, op.route) for kind, op in REGISTRY.items()}


def described(run: RunDir) -> Deployment | None:
    """The deployment that a run was made against, if the run folder says."""
    return run.deployment() if (run.path / "deployment.toml").exists() else None


def fronts(deployment: Deployment | None) -> dict[str, str]:
    """The front URLs by API."""
    apis = {"rest": deployment.rest, "cfn": deployment.cfn} if deployment else {}
    return {name: api.url for name, api in apis.items() if api}


def exported_run(run: RunDir) -> ExportedRun:
    """What resources say of a run."""
    from calorimeter.export.otlp_values import ExportedRun

    return ExportedRun(run.about["id"], run.about["deployment"])


def targets(deployment: Deployment | None) -> Targets:
    """How each request was asked for: by its operation, or by the path that a command asked for."""
    from calorimeter.gates.request_path.http_spans import HttpTarget

    known, front = routes(), fronts(deployment)

    def target(request: SentRequest) -> HttpTarget:
        api, operation, at = request.api, request.operation, front.get(request.api, "")
        route = known.get((api, operation))
        if route is None and " /" in operation:
            return _of_command(request, at)
        # Without a method in the table it is a poll within another operation.
        method = route.method if route and route.method else "_OTHER"
        url = asked_route.url(api, operation, at, route)
        return HttpTarget(method, url, urlsplit(url).path if route and route.path else "")

    return target


def _of_command(request: SentRequest, front: str) -> HttpTarget:
    """The method and the path of a request that was relayed, without its project."""
    from calorimeter.gates.request_path.http_spans import HttpTarget

    method, _, path = request.operation.partition(" ")
    below = path.removeprefix(urlsplit(front).path.rstrip("/"))
    if request.api == "rest":
        _, _, rest = below.lstrip("/").partition("/")
        below = f"/{rest}" if rest else ""
    base = asked_route.url(request.api, "", front, AskedRoute(method, "/")).rstrip("/")
    return HttpTarget(method, f"{base}{quote(below or '/', safe=asked_route.PATH_SAFE + '%')}")


def spans_of_run(run: RunDir, request_id: str | None = None) -> Iterator[str]:
    """The lines of a run's traced requests, or of those with one id. Raises InputError."""
    from calorimeter.export import otlp_spans
    from calorimeter.gates.request_path import traced_spans

    found = traced_spans.of_run(run, targets(described(run)), request_id)
    return otlp_spans.lines(found, exported_run(run))


def spans_of_command(spans: Iterable[TraceSpan], deployment: Deployment) -> Iterator[str]:
    """The lines of the requests of a command."""
    from calorimeter.export import otlp_spans
    from calorimeter.export.otlp_values import ExportedRun

    return otlp_spans.lines(spans, ExportedRun(deployment=deployment.name))


def check(target: str) -> str:
    """The target as it is used: a URL, or a file that may be replaced. Raises InputError."""
    if otlp_sender.is_url(target):
        return otlp_sender.receiver_url(target, OPTION)
    files.refuse_other(Path(target), SPANS, WHAT)
    return target


def write(target: str, lines: Iterable[str]) -> str:
    """Write or send the lines; a sentence that says so. Raises InputError."""
    if not otlp_sender.is_url(target):
        files.write_parts(Path(target), (line.encode("ascii") for line in lines), mode=files.PRIVATE)
        return f"spans written to {target}"
    return send(target, lines)


def send(url: str, lines: Iterable[str], signal: TelemetrySignal = otlp_sender.TRACES) -> str:
    """Send the lines to a receiver; a sentence that says so. Raises InputError."""
    sent = otlp_sender.send(url, lines, OPTION, signal=signal)
    said = f"{signal.word} sent in {sent.batches} batch{'es' if sent.batches != 1 else ''}"
    return f"{said}; {sent.rejected} were rejected: {sent.why}" if sent.rejected else said
