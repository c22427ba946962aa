"""The figures of a page in their order, with title, caption and where their data are from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from calorimeter.core.generator import MOST_CPU_SHARE
from calorimeter.core.statistics import MINIMUM_WINDOWS
from calorimeter.report.figures import (
    gate_figures,
    latency_figures,
    load_curves,
    polled_figures,
    rate_figures,
    share_bars,
    style,
)
from calorimeter.report.figures.style import Marks, Plot
from calorimeter.report.page_content import GateEvidence, Load, PageContent, Polled, Shares
from calorimeter.report.tables.polls import stretches

COMPONENTS = "Queues and components"

SECTIONS = (
    "Throughput and latency over time",
    "Throughput and latency against load",
    "Latency distribution",
    "Who served what",
    "Faults, detection and recovery",
    COMPONENTS,
    "Generator health",
)
"""The headings that figures stand under, in their order."""


@dataclass(frozen=True, slots=True)
class PageFigure:
    """One figure of a page; `section` is the heading it stands under."""

    name: str
    section: str
    title: str
    caption: str
    plot: Plot


@dataclass(frozen=True, slots=True)
class OmittedFigure:
    """A figure that a run's data do not allow; `why` is a clause after "because"."""

    name: str
    section: str
    title: str
    why: str


@dataclass(frozen=True, slots=True)
class DrawnFigure:
    """A figure as bytes: SVG for a page and for a telephone, PNG for elsewhere."""

    figure: PageFigure
    wide: str
    narrow: str
    png: bytes


def of(found: PageContent) -> list[PageFigure]:
    """The figures that the data of a run allow."""
    marks = _marks(found)
    figures = list(_of_load(found.load, marks)) if found.load else []
    if found.backends:
        figures.append(_shares("backends", "Share per backend", "source addresses", found.backends))
    if found.engines:
        figures.append(_shares("engines", "Share per engine", "calls", found.engines))
    figures += _of_gates(found.evidence)
    if found.load and found.polled:
        figures += _of_polls(found.polled, marks, found.load.axis.bins * found.load.axis.bin_s)
    if found.load and found.load.generator["n"].sum():
        workers = found.polled.workers if found.polled else pd.DataFrame()
        figures.append(_generator(found.load, workers, marks))
    return figures


def draw(figure: PageFigure) -> DrawnFigure:
    """Draw one figure in all its forms."""
    wide, png = style.svg_and_png(figure.plot, style.WIDE, f"{figure.name}-w")
    return DrawnFigure(figure, wide, style.svg(figure.plot, style.NARROW, f"{figure.name}-n"), png)


def _marks(found: PageContent) -> Marks:
    if found.load is None:
        return Marks()
    warm_up_s = (found.load.measured.first_ns - found.load.axis.start_ns) / 1e9
    outages = found.polled.outages if found.polled else None
    return Marks(
        phases=found.load.phases,
        faults=outages,
        injected=found.evidence.injected,
        invalid=stretches(found.polled.invalid) if found.polled else None,
        warm_up_s=warm_up_s,
    )


def _of_load(load: Load, marks: Marks) -> Iterator[PageFigure]:
    yield PageFigure(
        "throughput",
        "Throughput and latency over time",
        "Throughput",
        f"Requests a second in bins of {load.axis.bin_s} s. Offered counts when a request was due, "
        "answered when its answer was whole. From the samples.",
        partial(rate_figures.over_time, load.rates, marks),
    )
    if load.points.empty:
        return
    yield PageFigure(
        "latency-over-time",
        "Throughput and latency over time",
        "Response time over time",
        "Dots are single requests, lines are percentiles of the successes: p50 and p90 in windows of "
        f"{load.latency_bin_s} s, p99 in windows of {load.tail_bin_s} s, drawn where a window holds enough "
        "of them. From the samples.",
        partial(latency_figures.over_time, load.points, load.latencies, load.tails, marks),
    )
    if not load.heat.empty:
        yield PageFigure(
            "latency-heat-map",
            "Throughput and latency over time",
            "Latency heat map",
            f"How many of {int(load.heat.to_numpy().sum()):,} successes took how long: darker is "
            "more, on a logarithmic scale. From the samples.",
            partial(latency_figures.heat_map, load.heat, marks),
        )
    if _varies(load):
        yield PageFigure(
            "achieved-against-offered",
            "Throughput and latency against load",
            "Achieved against offered load",
            f"A point is a window of {load.against_bin_s} s: requests due in it, and what became of them. "
            "On the dashed line all were answered as expected. From the samples.",
            partial(load_curves.achieved, load.against),
        )
        yield PageFigure(
            "latency-against-load",
            "Throughput and latency against load",
            "Response time against offered load",
            f"A point is a percentile of the successes of a window of {load.against_bin_s} s, where it "
            "holds enough of them. From the samples.",
            partial(load_curves.latency, load.against),
        )
    if len(load.curve) > 1:
        yield PageFigure(
            "percentile-curve",
            "Latency distribution",
            "Percentile curve",
            f"{int(load.operations.iloc[-1]['ok']):,} successes of all operations together. "
            "Response time counts from when a request was due, "
            "service time from when it was sent; where they part, requests waited in the generator. "
            "The curve ends where fewer than ten requests lie beyond it. From the samples.",
            partial(latency_figures.curve, load.curve),
        )
    if load.operations["response_p50"].notna().any():
        yield PageFigure(
            "operations",
            "Latency distribution",
            "Response time per operation",
            "Successes only; a percentile with too few samples is not drawn. From the samples.",
            partial(latency_figures.operations, load.operations),
        )


LEAST_SPREAD = 1.5
"""How many times the load of quiet windows that of busy ones is, where figures against load are drawn."""


def _spread(load: Load) -> tuple[float, float]:
    """The 5th and the 95th percentile of the offered load over windows, a second; 0 where too few tell.

    Windows in which few requests were due differ by chance alone, so only those that allow a 90th
    percentile count: of a hundred requests chance makes 16 % at most.
    """
    offered = load.against["offered"][load.against["p90"].notna()].to_numpy()
    if len(offered) < MINIMUM_WINDOWS:
        return 0.0, 0.0
    low, high = np.percentile(offered, [5, 95])
    return float(low), float(high)


def _varies(load: Load) -> bool:
    low, high = _spread(load)
    return high > LEAST_SPREAD * low


def omitted(found: PageContent) -> list[OmittedFigure]:
    """What a page of this run does not show, and why: a line each instead of an empty figure."""
    drawn = {figure.name for figure in of(found)}
    return [each for each in _possible(found) if each.name not in drawn]


def _possible(found: PageContent) -> Iterator[OmittedFigure]:
    """Every figure that is not of each load, with the reason that holds where it is not drawn."""
    load = found.load
    if load is not None:
        low, high = _spread(load)
        why = f"the offered load hardly varied ({low:.1f} to {high:.1f} requests/s): a sweep shows it"
        if high == 0:
            why = f"fewer than {MINIMUM_WINDOWS} windows of {load.against_bin_s} s hold enough successes"
        for name, title in (
            ("achieved-against-offered", "Achieved against offered load"),
            ("latency-against-load", "Response time against offered load"),
        ):
            yield OmittedFigure(name, "Throughput and latency against load", title, why)
        few = "too few requests succeeded"
        yield OmittedFigure("percentile-curve", "Latency distribution", "Percentile curve", few)
        yield OmittedFigure("operations", "Latency distribution", "Response time per operation", few)
    served = "Who served what"
    yield OmittedFigure(
        "backends", served, "Share per backend", "no proxy's counters were seen and gate S1 has no verdict"
    )
    yield OmittedFigure(
        "mapping", served, "Sources and their backends", "the run holds no evidence of gates S"
    )
    yield OmittedFigure(
        "engines", served, "Share per engine", "no broker's counters were seen and gate E2 has no verdict"
    )
    yield OmittedFigure(
        "rotation", served, "Rotation over the engines", "the run holds no evidence of gate E2"
    )
    if not found.evidence.trials:
        nothing = "nothing was broken in this run"
        yield OmittedFigure("faults", "Faults, detection and recovery", "Faults", nothing)
    if load is not None:
        yield OmittedFigure("backlog", COMPONENTS, "Backlog", "neither queues nor stacks were recorded")
        yield OmittedFigure("sessions", COMPONENTS, "Open connections per backend", "no proxy was seen")
        yield OmittedFigure(
            "processes",
            COMPONENTS,
            "Processor and memory per component",
            "watch/processes.jsonl holds nothing (deployment.toml names the command, `usage`)",
        )
        never = "no request was sent"
        yield OmittedFigure("generator", "Generator health", "Lateness of the generator", never)


def _shares(name: str, title: str, judged: str, found: Shares) -> PageFigure:
    unit = {"backends": "connections", "engines": "deliveries"}[name] if found.under_load else judged
    return PageFigure(
        name,
        "Who served what",
        title,
        f"{found.source} {_tick(found) if name == 'backends' else 'The tick is an equal share.'}",
        partial(share_bars.bars, found.table, f"share of {unit}"),
    )


def _tick(found: Shares) -> str:
    if "predicted" not in found.table or found.table["predicted"].isna().all():
        return "The tick is the share that weights alone give."
    return (
        "The tick is the share that the proxy's source hash gives to the addresses of this load; the "
        "hatched band holds the shares of as many random addresses in 99 % of cases. Where a server was "
        "out of the rotation meanwhile there is neither, and the tick is the share that weights alone give."
    )


def _of_gates(evidence: GateEvidence) -> Iterator[PageFigure]:
    if len(evidence.mapping):
        yield PageFigure(
            "mapping",
            "Who served what",
            "Sources and their backends",
            "A column is a source address, filled where a backend served it: one field a column is "
            "affinity. Sources that more than one backend served come first. From the evidence of gate S1.",
            partial(gate_figures.mapping, evidence.mapping),
        )
    if len(evidence.rotation):
        yield PageFigure(
            "rotation",
            "Who served what",
            "Rotation over the engines",
            "Which engine took which call, with one call in flight. From the evidence of gate E2.",
            partial(gate_figures.rotation, evidence.rotation),
        )
    for file in sorted({trial.file for trial in evidence.trials}):
        own = [trial for trial in evidence.trials if trial.file == file]
        yield PageFigure(
            f"faults-{file}",
            "Faults, detection and recovery",
            f"{_whose(file)}: what broke, when the proxy saw it, and what clients felt",
            "Pale: from the fault to the begin of its healing. Dark: the proxy showed the server out of "
            "its rotation. Red: requests that were not served, from when they were due to their end"
            + (" (seconds in which there were any). " if file == "load" else ". ")
            + "Detected: from the fault until the proxy had the server out; back: from the end of the "
            "pale bar until the proxy had it back (a killed process starts meanwhile).",
            partial(gate_figures.faults, own),
        )


def _whose(file: str) -> str:
    return "This load" if file == "load" else f"Gate {file}"


def _of_polls(polls: Polled, marks: Marks, end_s: float) -> Iterator[PageFigure]:
    if len(polls.queues) or len(polls.stacks):
        yield PageFigure(
            "backlog",
            COMPONENTS,
            "Backlog",
            "Messages in the engines' queues, as the broker counted them, and stacks that were accepted "
            "and not yet seen complete or failed, from the ledger. Heat's engines acknowledge on receipt, "
            "so queues can stay empty while engines are busy.",
            partial(polled_figures.backlog, polls.queues, polls.stacks, marks, end_s),
        )
    if len(polls.sessions):
        yield PageFigure(
            "sessions",
            COMPONENTS,
            "Open connections per backend",
            "As the proxy counted them, once a poll. Red bands, here and above: the proxy had a server "
            "out of its rotation.",
            partial(polled_figures.sessions, polls.sessions, marks, end_s),
        )
    if len(polls.processes):
        yield PageFigure(
            "processes",
            COMPONENTS,
            "Processor and memory per component",
            "Processors used between two polls, by darkness; on the right the mean of them and the largest "
            "resident memory.",
            partial(polled_figures.processes, polls.processes, marks, end_s),
        )


def _generator(load: Load, workers: pd.DataFrame, marks: Marks) -> PageFigure:
    return PageFigure(
        "generator",
        "Generator health",
        "Lateness of the generator",
        "How long after it was due a request was sent, how many were in flight"
        + (
            f", and how busy each generating process was (dashed: {MOST_CPU_SHARE:.0%}). "
            if len(workers)
            else "; how busy its processes were was not recorded. "
        )
        + "A generator that is late or busy is itself a bottleneck.",
        partial(rate_figures.generator, load.generator, load.rates["in_flight"], workers, marks),
    )
