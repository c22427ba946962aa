"""Parses OTLP JSON with the protocol's own schema: unknown fields and ids of a wrong length fail."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as in_development

IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
"""Bytes of each id. OTLP writes them in hexadecimal digits, where protobuf's own JSON has base64."""


def traces(text: str) -> TracesData:
    """All spans of a file."""
    return _merged(text, TracesData())


def metrics(text: str) -> MetricsData:
    """All metrics of a file."""
    return _merged(text, MetricsData())


def spans(text: str) -> Iterator[tuple[dict[str, Any], Any]]:
    """Each span of a file, with the attributes of its resource."""
    for of_resource in traces(text).resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield values(of_resource.resource.attributes), span


def values(attributes: Any) -> dict[str, Any]:
    """Attributes as a table; each name occurs once."""
    names = [each.key for each in attributes]
    assert len(set(names)) == len(names)
    return {each.key: _value(each.value) for each in attributes}


_NAME = re.compile(r'^[A-Z_0-9]+: Final = \(?\s*"([^"]+)"\s*\)?\n"""\n(?!Deprecated)', re.MULTILINE)


def known_names() -> set[str]:
    """The names of attributes in the semantic conventions, those that are deprecated left out."""
    found: set[str] = set()
    for package in (stable, in_development):
        for folder in package.__path__:
            for file in Path(folder).glob("*_attributes.py"):
                found |= set(_NAME.findall(file.read_text("utf-8")))
    return found


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return tuple(each.string_value for each in found.values) if kind == "array_value" else found


def _merged(text: str, into: Any) -> Any:
    assert text.endswith("\n") or not text
    for line in text.splitlines():
        json_format.ParseDict(_with_base64(json.loads(line)), part := type(into)())
        into.MergeFrom(part)
    return into


def _with_base64(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_with_base64(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    found = {}
    for key, value in tree.items():
        if key in IDS:
            raw = bytes.fromhex(value)
            assert len(raw) == IDS[key] and any(raw) and value == value.lower()
            found[key] = base64.b64encode(raw).decode()
        else:
            found[key] = _with_base64(value)
    return found
