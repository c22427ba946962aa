"""Spans in OTLP's JSON encoding: lines of `TracesData`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from calorimeter.core.trace_span import SpanSource, TraceSpan
from calorimeter.export import otlp_values
from calorimeter.export.otlp_values import LINE_BYTES, SCHEMA_URL, SCOPE, ExportedRun

STATUS_ERROR = 2


def lines(spans: Iterable[TraceSpan], of: ExportedRun) -> Iterator[str]:
    """The spans, some hundreds a line; within a line those of one process are together."""
    held: dict[SpanSource, list[str]] = {}
    size = 0
    for span in spans:
        text = _span(span)
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


def _span(span: TraceSpan) -> str:
    """The JSON of a span. Ids have hexadecimal digits only."""
    parent = f'"parentSpanId":"{span.parent_id}",' if span.parent_id else ""
    given = {**span.attributes, "error.type": span.error} if span.error else span.attributes
    more = ""
    if span.moments:
        more += f',"events":[{",".join([_event(*moment) for moment in span.moments])}]'
    if span.links:
        links = [f'{{"traceId":"{span.trace_id}","spanId":"{linked}"}}' for linked in span.links]
        more += f',"links":[{",".join(links)}]'
    if span.error:
        more += f',"status":{{"code":{STATUS_ERROR}}}'
    return (
        f'{{"traceId":"{span.trace_id}","spanId":"{span.span_id}",{parent}'
        f'"name":{otlp_values.encoded_text(span.name)},"kind":{int(span.kind)},'
        f'"startTimeUnixNano":"{span.start_ns}","endTimeUnixNano":"{span.end_ns}",'
        f'"attributes":{otlp_values.encoded_attributes(given)}{more}}}'
    )


def _event(at_ns: int, name: str) -> str:
    return f'{{"timeUnixNano":"{at_ns}","name":{otlp_values.encoded_text(name)}}}'
