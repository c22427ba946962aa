"""Spans in OTLP's JSON encoding: lines of `TracesData`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from calorimeter.core.trace_span import SpanSource, TraceSpan
from calorimeter.export import otlp_values
from calorimeter.export.otlp_values import LINE_BYTES, SCHEMA_URL, SCOPE, ExportedRun

STATUS_ERROR = 2


def lines(spans: Iterable[TraceSpan], of: ExportedRun) -> Iterator[str]:
    """The spans, some hundreds a line; within a line those of one process are together."""
    held: dict[SpanSource, list[str]] = {}
    size = 0
    for span in spans:
        text = otlp_values.encoded(_span(span))
        held.setdefault(span.source, []).append(text)
        size += len(text)
        if size >= LINE_BYTES:
            yield _line(held, of)
            held, size = {}, 0
    if held:
        yield _line(held, of)


def _line(held: dict[SpanSource, list[str]], of: ExportedRun) -> str:
    """A line of spans that are JSON already."""
    found = []
    scope = otlp_values.encoded({"scope": SCOPE, "schemaUrl": SCHEMA_URL})[:-1]
    for source, texts in held.items():
        process = otlp_values.resource(of, source.service, source.instance, source.host)
        about = otlp_values.encoded({"resource": process, "schemaUrl": SCHEMA_URL})[:-1]
        found.append(f'{about},"scopeSpans":[{scope},"spans":[{",".join(texts)}]}}]}}')
    return f'{{"resourceSpans":[{",".join(found)}]}}\n'


def _span(span: TraceSpan) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **({"parentSpanId": span.parent_id} if span.parent_id else {}),
        "name": otlp_values.text(span.name),
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
    }
    given = {**span.attributes, **({"error.type": span.error} if span.error else {})}
    found["attributes"] = otlp_values.attributes(given)
    if span.moments:
        found["events"] = [{"timeUnixNano": str(at_ns), "name": name} for at_ns, name in span.moments]
    if span.links:
        found["links"] = [{"traceId": span.trace_id, "spanId": linked} for linked in span.links]
    if span.error:
        found["status"] = {"code": STATUS_ERROR}
    return found
