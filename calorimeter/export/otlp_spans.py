"""Spans in OTLP's JSON encoding: lines of `TracesData`."""

from __future__ import annotations

import json
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
        encoded = json.dumps(_span(span), separators=(",", ":"))
        held.setdefault(span.source, []).append(encoded)
        size += len(encoded)
        if size >= LINE_BYTES:
            yield _line(held, of)
            held, size = {}, 0
    if held:
        yield _line(held, of)


def _line(held: dict[SpanSource, list[str]], of: ExportedRun) -> str:
    """A line of spans that are JSON already."""
    found = []
    for source, encoded in held.items():
        about = json.dumps(
            {
                "resource": otlp_values.resource(of, source.service, source.instance, source.host),
                "schemaUrl": SCHEMA_URL,
            },
            separators=(",", ":"),
        )
        scope = json.dumps({"scope": SCOPE, "schemaUrl": SCHEMA_URL}, separators=(",", ":"))
        inner = f'{scope[:-1]},"spans":[{",".join(encoded)}]}}'
        found.append(f'{about[:-1]},"scopeSpans":[{inner}]}}')
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
