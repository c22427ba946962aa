"""All spans of some requests, from their paths; and of a run, from its samples and its recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.recorded_json import LATEST_NS
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.trace_span import TraceSpan
from calorimeter.gates.request_path import recording
from calorimeter.gates.request_path.budget import traced_requests
from calorimeter.gates.request_path.follow import TRACE
from calorimeter.gates.request_path.http_spans import HttpTarget, http_spans
from calorimeter.gates.request_path.message_spans import message_spans
from calorimeter.gates.request_path.path import RequestPath, SentRequest, each_path

Targets = Callable[[SentRequest], HttpTarget]
"""How each request was asked for."""


def of_paths(
    paths: Iterable[RequestPath], hosts: Mapping[str, str], targets: Targets
) -> Iterator[TraceSpan]:
    """The spans of requests, one request after the other."""
    for path in paths:
        http = http_spans(path, targets(path.request))
        yield from http.spans
        yield from message_spans(path.request, path.legs, http.inner, hosts)


def of_run(run: RunDir, targets: Targets, request_id: str | None = None) -> Iterator[TraceSpan]:
    """The spans of the requests of a run that were traced, in all its phases, or of those with one id.

    Raises InputError if the run has no samples or no trace, or if they are damaged.
    """
    if not RecordedRows(run, "samples").rows:
        raise InputError(str(run.path), "holds no samples", "valid: a folder that `calorimeter run` wrote")
    try:
        evidence = recording.read(run, TRACE)
    except MissingFileError as problem:
        valid = "valid: one of `calorimeter run --trace-windows`, or of a load in `calorimeter trace`"
        raise InputError(str(run.path), "holds no trace", valid) from problem
    if not all(0 <= event.t_ns <= LATEST_NS for event in evidence.events):
        raise InputError(str(run.path / "evidence" / f"{TRACE}.json"), "holds times that no message has")
    chosen = traced_requests(run, Span(0, LATEST_NS), evidence.windows).requests
    if request_id is not None:
        chosen = tuple(request for request in chosen if request.request_id == request_id)
        if not chosen:
            given = f"did not trace request {request_id!r}"
            raise InputError(str(run.path), given, "valid: one that was sent, and ended, in a window")
    paths = each_path(chosen, evidence.connections, evidence.events, evidence.processes)
    yield from of_paths(paths, evidence.hosts, targets)
