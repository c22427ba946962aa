"""The figures of a page in their order, with title, caption and where their data are from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from reports.figures import latency, shares, style, throughput
from reports.figures.style import Marks, Plot
from reports.findings import Findings, Load, Shares


@dataclass(frozen=True, slots=True)
class Plate:
    """One figure of a page; `section` is the heading it stands under."""

    name: str
    section: str
    title: str
    caption: str
    plot: Plot


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plate as bytes: SVG for a page and for a telephone, PNG for elsewhere."""

    plate: Plate
    wide: str
    narrow: str
    png: bytes


def of(found: Findings) -> list[Plate]:
    """The figures that the data of a run allow."""
    plates = list(_of_load(found.load)) if found.load else []
    if found.backends:
        plates.append(_shares("backends", "Share per backend", "source addresses", found.backends))
    if found.engines:
        plates.append(_shares("engines", "Share per engine", "calls", found.engines))
    if found.load and found.load.generator["n"].sum():
        plates.append(_generator(found.load))
    return plates


def draw(plate: Plate) -> Drawn:
    """Draw one plate in all its forms."""
    wide, png = style.svg_and_png(plate.plot, style.WIDE, f"{plate.name}-w")
    return Drawn(plate, wide, style.svg(plate.plot, style.NARROW, f"{plate.name}-n"), png)


def _marks(load: Load) -> Marks:
    warm_up_s = (load.window.first_ns - load.axis.start_ns) / 1e9
    return Marks(phases=load.phases, warm_up_s=warm_up_s)


def _of_load(load: Load) -> Iterator[Plate]:
    marks = _marks(load)
    yield Plate(
        "throughput",
        "Throughput and latency over time",
        "Throughput",
        f"Requests a second in bins of {load.axis.bin_s} s. Offered counts when a request was due, "
        "answered when its answer was whole. From the samples.",
        partial(throughput.over_time, load.rates, marks),
    )
    if load.points.empty:
        return
    yield Plate(
        "latency-over-time",
        "Throughput and latency over time",
        "Response time over time",
        "Dots are single requests, lines are percentiles of the successes: p50 and p90 in windows of "
        f"{load.latency_bin_s} s, p99 in windows of {load.tail_bin_s} s, drawn where a window holds enough "
        "of them. From the samples.",
        partial(latency.over_time, load.points, load.latencies, load.tails, marks),
    )
    if not load.heat.empty:
        yield Plate(
            "latency-heat-map",
            "Throughput and latency over time",
            "Latency heat map",
            "How many successes took how long: darker is more, on a logarithmic scale. From the samples.",
            partial(latency.heat_map, load.heat, marks),
        )
    if len(load.curve) > 1:
        yield Plate(
            "percentile-curve",
            "Latency distribution",
            "Percentile curve",
            "Successes of all operations together. Response time counts from when a request was due, "
            "service time from when it was sent; where they part, requests waited in the generator. "
            "The curve ends where fewer than ten requests lie beyond it. From the samples.",
            partial(latency.curve, load.curve),
        )
    if load.operations["response_p50"].notna().any():
        yield Plate(
            "operations",
            "Latency distribution",
            "Response time per operation",
            "Successes only; a percentile with too few samples is not drawn. From the samples.",
            partial(latency.operations, load.operations),
        )


def _shares(name: str, title: str, judged: str, found: Shares) -> Plate:
    unit = {"backends": "connections", "engines": "deliveries"}[name] if found.under_load else judged
    return Plate(
        name,
        "Who served what",
        title,
        f"{found.source} The tick is the share that weights alone give.",
        partial(shares.bars, found.table, f"share of {unit}"),
    )


def _generator(load: Load) -> Plate:
    return Plate(
        "generator",
        "Generator health",
        "Lateness of the generator",
        "How long after it was due a request was sent, and how many were in flight. A generator that is "
        "late is itself a bottleneck. From the samples.",
        partial(throughput.generator, load.generator, load.rates["in_flight"], _marks(load)),
    )
