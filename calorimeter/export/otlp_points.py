"""Points of metrics in OTLP's JSON encoding: lines of `MetricsData`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from calorimeter.core.trace_span import Attribute
from calorimeter.export import otlp_values
from calorimeter.export.otlp_values import LINE_BYTES, SCHEMA_URL, SCOPE, ExportedRun, encoded

CUMULATIVE = 2
"""The protocol's number of sums and histograms that count from the start, not from the last point."""

BOUNDS_S = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0,
)  # fmt: skip
"""The upper bounds of the buckets of durations, s, each included; a last bucket has what is longer."""


@dataclass(frozen=True, slots=True)
class MetricKind:
    """A metric. `sum` grows from the start of its counter on, a `gauge` is what was the case at a time."""

    name: str
    unit: str
    what: str
    form: Literal["histogram", "sum", "gauge"]


@dataclass(frozen=True, slots=True)
class DurationCounts:
    """A histogram: counts of the buckets of `BOUNDS_S`, and the sum of all durations, ns."""

    counts: tuple[int, ...]
    sum_ns: int


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One point. `at_ns` is ns since the epoch, `start_ns` when a sum began (0: unknown).

    `service` and `instance` are the process that it is of; of a program as a whole `instance` is empty.
    """

    service: str
    instance: str
    kind: MetricKind
    attributes: Mapping[str, Attribute]
    at_ns: int
    value: int | float | DurationCounts
    start_ns: int = 0


def lines(points: Iterable[MetricPoint], of: ExportedRun) -> Iterator[str]:
    """The points in their order, some hundreds a line."""
    held: list[tuple[MetricPoint, str]] = []
    size = 0
    for point in points:
        text = encoded(_point(point))
        held.append((point, text))
        size += len(text)
        if size >= LINE_BYTES:
            yield _line(held, of)
            held, size = [], 0
    if held:
        yield _line(held, of)


def _line(held: list[tuple[MetricPoint, str]], of: ExportedRun) -> str:
    """A line of points that are JSON already."""
    found = []
    for (service, instance), own in _grouped(held, lambda point: (point.service, point.instance)):
        metrics = [_metric(kind, some) for kind, some in _grouped(own, lambda point: point.kind)]
        about = {"resource": otlp_values.resource(of, service, instance), "schemaUrl": SCHEMA_URL}
        scope = encoded({"scope": SCOPE, "schemaUrl": SCHEMA_URL})
        inner = f'{scope[:-1]},"metrics":[{",".join(metrics)}]}}'
        found.append(f'{encoded(about)[:-1]},"scopeMetrics":[{inner}]}}')
    return f'{{"resourceMetrics":[{",".join(found)}]}}\n'


def _grouped(held: list[tuple[MetricPoint, str]], key: Any) -> Iterator[tuple[Any, list[Any]]]:
    """The points by a key, in the order in which keys were met first."""
    places: dict[Any, int] = {}
    for point, _ in held:
        places.setdefault(key(point), len(places))
    ordered = sorted(held, key=lambda each: places[key(each[0])])
    for found, own in groupby(ordered, key=lambda each: key(each[0])):
        yield found, list(own)


def _metric(kind: MetricKind, own: list[tuple[MetricPoint, str]]) -> str:
    data: dict[str, Any] = {} if kind.form == "gauge" else {"aggregationTemporality": CUMULATIVE}
    if kind.form == "sum":
        data["isMonotonic"] = True
    about = {"name": kind.name, "description": kind.what, "unit": kind.unit}
    options = "".join(f",{encoded(name)}:{encoded(value)}" for name, value in data.items())
    points = ",".join(text for _, text in own)
    return f'{encoded(about)[:-1]},"{kind.form}":{{"dataPoints":[{points}]{options}}}}}'


def _point(point: MetricPoint) -> dict[str, Any]:
    found: dict[str, Any] = {"attributes": otlp_values.attributes(point.attributes)}
    if point.start_ns:
        found["startTimeUnixNano"] = str(point.start_ns)
    found["timeUnixNano"] = str(point.at_ns)
    if isinstance(point.value, DurationCounts):
        found["count"] = str(sum(point.value.counts))
        found["sum"] = point.value.sum_ns / 1e9
        found["bucketCounts"] = [str(count) for count in point.value.counts]
        found["explicitBounds"] = list(BOUNDS_S)
    elif isinstance(point.value, int):
        found["asInt"] = str(point.value)
    else:
        found["asDouble"] = point.value
    return found
