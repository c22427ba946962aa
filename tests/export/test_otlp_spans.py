"""Spans as OTLP JSON, parsed with the protocol's own schema."""

from __future__ import annotations

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.semconv.schemas import Schemas

from calorimeter.core.trace_span import SpanKind, SpanSource, TraceSpan, digest
from calorimeter.export import otlp_spans, otlp_values
from calorimeter.export.otlp_values import ExportedRun
from tests.export import otlp_schema

T0 = 1_700_000_000_000_000_000
RUN = ExportedRun("20260102T030405Z-x-ab12", "guide")


def span(number: int = 1, **more: object) -> TraceSpan:
    """A span of the API."""
    given = {
        "source": SpanSource("heat-api", "heat-api[10]@10.0.0.2", "10.0.0.2"), "trace_id": "ab" * 16,
        "span_id": f"{number:016x}", "parent_id": "", "name": "GET /stacks", "kind": SpanKind.SERVER,
        "start_ns": T0, "end_ns": T0 + 5,
    }  # fmt: skip
    return TraceSpan(**{**given, **more})


def test_a_span_is_what_it_was() -> None:
    """All of its fields, by the schema."""
    given = span(
        parent_id="00" * 7 + "09", kind=SpanKind.CONSUMER, links=("0" * 15 + "7",), error="503",
        moments=((T0 + 2, "delivered"),),
        attributes={"a": "x", "b": 7, "c": ("y", "z"), "d": True, "e": -(2**62)},
    )  # fmt: skip
    ((resource, found),) = otlp_schema.spans("".join(otlp_spans.lines([given], RUN)))
    assert resource == {
        "service.name": "heat-api", "service.instance.id": "heat-api[10]@10.0.0.2", "host.name": "10.0.0.2",
        "deployment.environment.name": "guide", "calorimeter.run.id": "20260102T030405Z-x-ab12",
    }  # fmt: skip
    assert (found.trace_id, found.span_id) == (b"\xab" * 16, b"\0" * 7 + b"\1")
    assert (found.parent_span_id, found.name) == (b"\0" * 7 + b"\x09", "GET /stacks")
    assert found.kind == Span.SPAN_KIND_CONSUMER
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (T0, T0 + 5)
    assert otlp_schema.values(found.attributes) == {
        "a": "x", "b": 7, "c": ("y", "z"), "d": True, "e": -(2**62), "error.type": "503",
    }  # fmt: skip
    assert [(event.time_unix_nano, event.name) for event in found.events] == [(T0 + 2, "delivered")]
    assert [(link.trace_id, link.span_id[-1]) for link in found.links] == [(b"\xab" * 16, 7)]
    assert found.status.code == Status.STATUS_CODE_ERROR


def test_what_is_unknown_is_left_out() -> None:
    """A root has no parent, a proxy no instance, a success no status."""
    given = span(source=SpanSource("haproxy"))
    ((resource, found),) = otlp_schema.spans("".join(otlp_spans.lines([given], ExportedRun())))
    assert resource == {"service.name": "haproxy"}
    assert (found.parent_span_id, found.status.code) == (b"", Status.STATUS_CODE_UNSET)


def test_kinds_have_the_numbers_of_the_protocol() -> None:
    """Readers take numbers only."""
    ours = {f"SPAN_KIND_{kind.name}": int(kind) for kind in SpanKind}
    assert ours == {name: code for name, code in Span.SpanKind.items() if code}


def test_lines_are_short_enough_for_the_collector() -> None:
    """Many spans are several lines, none of a megabyte; spans of one process are together."""
    sources = [SpanSource("heat-engine", str(number)) for number in range(3)]
    every = [span(number, source=sources[number % 3]) for number in range(1, 3000)]
    text = "".join(otlp_spans.lines(every, RUN))
    sizes = [len(line) for line in text.splitlines()]
    assert len(sizes) > 1 and max(sizes) < 2**19
    assert len(otlp_schema.traces(text).resource_spans) == 3 * len(sizes)
    assert sorted(each.span_id for _, each in otlp_schema.spans(text)) == [
        bytes.fromhex(each.span_id) for each in every
    ]


def test_foreign_text_is_bounded_and_ascii() -> None:
    """Half a character, a megabyte, an escape sequence: JSON that every reader takes."""
    given = span(name="\ud800\x1b[31m", attributes={"a": "é" * 10**6, "b": ("\udfff",)})
    text = "".join(otlp_spans.lines([given], RUN))
    assert text.isascii() and len(text) < 20_000 and "\x1b" not in text
    ((_, found),) = otlp_schema.spans(text)
    assert found.name == "?\x1b[31m"
    assert len(otlp_schema.values(found.attributes)["a"]) <= otlp_values.LONGEST_VALUE


def test_no_spans_are_no_lines() -> None:
    """An empty file is a valid one."""
    assert list(otlp_spans.lines([], RUN)) == []


def test_the_conventions_have_a_schema_of_that_version() -> None:
    """The newest one that the locked package knows."""
    assert list(Schemas)[-1].value == otlp_values.SCHEMA_URL


def test_a_digest_depends_on_each_part() -> None:
    """And on where one part ends."""
    assert (
        len({digest(16, "a", "bc"), digest(16, "ab", "c"), digest(16, "abc"), digest(16, "a", "bd")}) == 4
    )
    assert digest(32, "a") == digest(32, "a") and len(digest(32, "a")) == 32
