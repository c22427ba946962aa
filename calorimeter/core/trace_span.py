"""Spans of a distributed trace, as OpenTelemetry knows them: what one part did for one request, and when.

`calorimeter.gates.request_path` makes them, `calorimeter.export` writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

Attribute = str | int | bool | tuple[str, ...]


class SpanKind(IntEnum):
    """The kinds of spans, with their numbers in the protocol."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3
    PRODUCER = 4
    CONSUMER = 5


@dataclass(frozen=True, slots=True)
class SpanSource:
    """The process that a span is of; a field is empty if the evidence does not tell it.

    `service` is its program (heat-engine), `instance` the process, `host` the host that it is on.
    """

    service: str
    instance: str = ""
    host: str = ""


@dataclass(frozen=True, slots=True)
class TraceSpan:
    """One span. Times are ns since the epoch, and never end before they start.

    `trace_id` has 32 hexadecimal digits, `span_id` 16, and so have `parent_id` (empty for the first span of
    a trace) and `links`, which are ids of spans of the same trace. `error` is the type of an error; empty
    if it succeeded. `moments` are the times of things that happened within it, and what they were.
    """

    source: SpanSource
    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    moments: tuple[tuple[int, str], ...] = ()
    error: str = ""


def digest(length: int, *parts: object) -> str:
    """Hexadecimal digits that are the same for the same parts, and never all zero, which is no valid id."""
    text = "\0".join(map(str, parts))
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]
    return found if found.strip("0") else f"{1:0{length}x}"
