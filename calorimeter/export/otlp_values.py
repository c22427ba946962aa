"""What spans and metrics have in common in OTLP's JSON encoding: resources, attributes, lines.

The encoding is that of OpenTelemetry's OTLP specification 1.x: names in lowerCamelCase, ids hexadecimal,
numbers of 64 bits as text, kinds as numbers. A line is one object, as the file exporter of the
specification writes them and the collector's otlpjsonfile receiver reads them: all lines of a file are
spans, or all are metrics.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from calorimeter import __version__
from calorimeter.core.errors import shortened
from calorimeter.core.trace_span import Attribute

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
"""The version of the semantic conventions that names of attributes are taken from."""

SCOPE = {"name": "calorimeter", "version": __version__}

LINE_BYTES = 256 * 1024
"""Bytes of a line, about: the collector's receiver reads lines of up to 1 MiB by default."""

encoded = json.JSONEncoder(separators=(",", ":")).encode
"""JSON without spaces, in ASCII."""

LONGEST_VALUE = 1000
"""Characters of an attribute; foreign ones are shortened."""


REMEMBERED = 4096
"""Attributes and names whose JSON is kept: most spans repeat those of the spans before."""


@dataclass(frozen=True, slots=True)
class ExportedRun:
    """What every resource says of the run; both are empty for requests without a run folder."""

    run_id: str = ""
    deployment: str = ""


def resource(of: ExportedRun, service: str, instance: str = "", host: str = "") -> dict[str, Any]:
    """A process. What is empty is left out."""
    known = {
        "service.name": service,
        "service.instance.id": instance,
        "host.name": host,
        "deployment.environment.name": of.deployment,
        "calorimeter.run.id": of.run_id,
    }
    return {"attributes": attributes({key: value for key, value in known.items() if value})}


def attributes(given: Mapping[str, Attribute]) -> list[dict[str, Any]]:
    """Attributes in the order of their names."""
    return [{"key": key, "value": _value(given[key])} for key in sorted(given)]


def encoded_attributes(given: Mapping[str, Attribute]) -> str:
    """The JSON of `attributes`."""
    return f"[{','.join([_encoded_attribute(key, given[key]) for key in sorted(given)])}]"


@lru_cache(REMEMBERED)
def encoded_text(given: str) -> str:
    """The JSON of `text`."""
    return encoded(text(given))


# By type also: True is equal to 1.
@lru_cache(REMEMBERED, typed=True)
def _encoded_attribute(key: str, value: Attribute) -> str:
    return encoded({"key": key, "value": _value(value)})


def text(given: str) -> str:
    """A text that any reader of UTF-8 takes, not too long."""
    return shortened(given.encode("utf-8", "replace").decode(), LONGEST_VALUE)


def _value(given: Attribute) -> dict[str, Any]:
    if isinstance(given, bool):
        return {"boolValue": given}
    if isinstance(given, int):
        return {"intValue": str(given)}
    if isinstance(given, str):
        return {"stringValue": text(given)}
    return {"arrayValue": {"values": [{"stringValue": text(each)} for each in given]}}
