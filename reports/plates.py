"""The figures of a page in their order, with title, caption and where their data are from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from reports.figures import gates, latency, polled, shares, style, throughput
from reports.figures.style import Marks, Plot
from reports.findings import Findings, Load, Polled, Seen, Shares


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
    marks = _marks(found)
    plates = list(_of_load(found.load, marks)) if found.load else []
    if found.backends:
        plates.append(_shares("backends", "Share per backend", "source addresses", found.backends))
    if found.engines:
        plates.append(_shares("engines", "Share per engine", "calls", found.engines))
    plates += _of_gates(found.seen)
    if found.load and found.polled:
        plates += _of_polls(found.polled, marks, found.load.axis.bins * found.load.axis.bin_s)
    if found.load and found.load.generator["n"].sum():
        plates.append(_generator(found.load, marks))
    return plates


def draw(plate: Plate) -> Drawn:
    """Draw one plate in all its forms."""
    wide, png = style.svg_and_png(plate.plot, style.WIDE, f"{plate.name}-w")
    return Drawn(plate, wide, style.svg(plate.plot, style.NARROW, f"{plate.name}-n"), png)


def _marks(found: Findings) -> Marks:
    if found.load is None:
        return Marks()
    warm_up_s = (found.load.window.first_ns - found.load.axis.start_ns) / 1e9
    outages = found.polled.outages if found.polled else None
    return Marks(phases=found.load.phases, faults=outages, warm_up_s=warm_up_s)


def _of_load(load: Load, marks: Marks) -> Iterator[Plate]:
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


def _of_gates(seen: Seen) -> Iterator[Plate]:
    if len(seen.mapping):
        yield Plate(
            "mapping",
            "Who served what",
            "Sources and their backends",
            "A column is a source address, filled where a backend served it: one field a column is "
            "affinity. Sources that more than one backend served come first. From the evidence of gate S1.",
            partial(gates.mapping, seen.mapping),
        )
    if len(seen.rotation):
        yield Plate(
            "rotation",
            "Who served what",
            "Rotation over the engines",
            "Which engine took which call, with one call in flight. From the evidence of gate E2.",
            partial(gates.rotation, seen.rotation),
        )
    for file in sorted({trial.file for trial in seen.trials}):
        own = [trial for trial in seen.trials if trial.file == file]
        yield Plate(
            f"faults-{file}",
            "Faults, detection and recovery",
            f"Gate {file}: what broke, when the proxy saw it, and what clients felt",
            "Pale: from the fault to the begin of its healing. Dark: the proxy showed the server out of "
            "its rotation. Red: requests that were not served, from when they were due to their end. "
            f"From the evidence of gate {file}.",
            partial(gates.faults, own),
        )


def _of_polls(polls: Polled, marks: Marks, end_s: float) -> Iterator[Plate]:
    if len(polls.queues) or len(polls.stacks):
        yield Plate(
            "backlog",
            "Queues and components",
            "Backlog",
            "Messages in the engines' queues, as the broker counted them, and stacks that were accepted "
            "and not yet seen complete or failed, from the ledger. Heat's engines acknowledge on receipt, "
            "so queues can stay empty while engines are busy.",
            partial(polled.backlog, polls.queues, polls.stacks, marks, end_s),
        )
    if len(polls.sessions):
        yield Plate(
            "sessions",
            "Queues and components",
            "Open connections per backend",
            "As the proxy counted them, once a poll. Red bands, here and above: the proxy had a server "
            "out of its rotation.",
            partial(polled.sessions, polls.sessions, marks, end_s),
        )
    if len(polls.processes):
        yield Plate(
            "processes",
            "Queues and components",
            "Processor and memory per component",
            "Processors used between two polls, by darkness; on the right the mean of them and the largest "
            "resident memory.",
            partial(polled.processes, polls.processes, marks, end_s),
        )


def _generator(load: Load, marks: Marks) -> Plate:
    return Plate(
        "generator",
        "Generator health",
        "Lateness of the generator",
        "How long after it was due a request was sent, and how many were in flight. A generator that is "
        "late is itself a bottleneck. From the samples.",
        partial(throughput.generator, load.generator, load.rates["in_flight"], marks),
    )
