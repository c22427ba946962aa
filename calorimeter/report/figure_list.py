"""The figures of a page in their order, with title, caption and the source of their data."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from calorimeter.core.recorded.load_generator import MOST_CPU_SHARE
from calorimeter.core.statistics import MINIMUM_WINDOWS
from calorimeter.report.figures import (
    budget_figures,
    gate_figures,
    latency_figures,
    load_curves,
    polled_figures,
    rate_figures,
    share_bars,
    style,
    upgrade_figures,
)
from calorimeter.report.figures.style import Marks
from calorimeter.report.load_tables import LoadTables
from calorimeter.report.page_content import GateEvidence, PageContent, PollTables, SharesTable
from calorimeter.report.page_figures import (
    AGAINST_LOAD,
    BUDGET,
    COMPONENTS,
    DISTRIBUTION,
    FAULTS,
    GATES,
    GENERATOR,
    OVER_TIME,
    SERVED,
    UPGRADE,
    DrawnFigure,
    OmittedFigure,
    PageFigure,
)
from calorimeter.report.tables.polls import union
from calorimeter.report.tables.request_budget import REQUEST_LABELS, STACK_LABELS, BudgetTables
from calorimeter.report.tables.upgrade_steps import UpgradeTables


def of(found: PageContent) -> list[PageFigure]:
    """The figures that the data of a run allow."""
    marks = _marks(found)
    figures = list(_of_load(found.load, marks)) if found.load else []
    if found.load and found.upgrade:
        figures.insert(0, _upgrade(found.upgrade, found.load, found.polled, marks))
    if found.budget:
        figures += _of_budget(found.budget)
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
    if len(found.gate_steps):
        figures += _time_line(found.gate_steps)
    return figures


def draw(figure: PageFigure) -> DrawnFigure:
    """Draw one figure in all its forms."""
    wide, png = style.svg_and_png(figure.plot, style.WIDE, f"{figure.name}-w")
    return DrawnFigure(figure, wide, style.svg(figure.plot, style.NARROW, f"{figure.name}-n"), png)


def _marks(found: PageContent) -> Marks:
    if found.load is None:
        return Marks()
    return Marks(
        phases=found.load.phases,
        faults=found.polled.outages if found.polled else None,
        injected=found.evidence.injected,
        invalid=union(found.polled.invalid) if found.polled else None,
        warm_up_s=(found.load.measured.first_ns - found.load.axis.start_ns) / 1e9,
    )


def _of_load(load: LoadTables, marks: Marks) -> Iterator[PageFigure]:
    yield PageFigure(
        "throughput",
        OVER_TIME,
        "Throughput",
        f"Requests per second in bins of {load.axis.bin_s} s. Offered counts a request when it was due, "
        "answered when its answer was complete. From the samples.",
        partial(rate_figures.over_time, load.rates, marks),
    )
    if load.points.empty:
        return
    yield PageFigure(
        "latency-over-time",
        OVER_TIME,
        "Response time over time",
        "Dots are single requests, lines are percentiles of the successes: p50 and p90 in windows of "
        f"{load.latency_bin_s} s, p99 in windows of {load.tail_bin_s} s, drawn if a window holds enough of "
        "them. From the samples.",
        partial(latency_figures.over_time, load.points, load.latencies, load.tails, marks),
    )
    if not load.heat.empty:
        yield PageFigure(
            "latency-heat-map",
            OVER_TIME,
            "Latency heat map",
            f"How many of {int(load.heat.to_numpy().sum()):,} successes took how long: darker is more, on "
            "a logarithmic scale. From the samples.",
            partial(latency_figures.heat_map, load.heat, marks),
        )
    low, high = _spread(load)
    if high > LEAST_SPREAD * low:
        yield PageFigure(
            "achieved-against-offered",
            AGAINST_LOAD,
            "Achieved against offered load",
            f"Each point is a window of {load.against_bin_s} s: the requests due in it, and how many were "
            "answered. On the dashed line all were answered as expected. From the samples.",
            partial(load_curves.achieved, load.against),
        )
        yield PageFigure(
            "latency-against-load",
            AGAINST_LOAD,
            "Response time against offered load",
            f"Each point is a percentile of the successes of a window of {load.against_bin_s} s, if it "
            "holds enough of them. From the samples.",
            partial(load_curves.latency, load.against),
        )
    if len(load.curve) > 1:
        yield PageFigure(
            "percentile-curve",
            DISTRIBUTION,
            "Percentile curve",
            f"{int(load.operations.iloc[-1]['ok']):,} successes of all operations in the measured part. "
            "Response time counts from when a request was due, service time from when it was sent; where "
            "the curves part, requests waited in the generator. A curve ends where fewer than ten requests "
            "lie beyond it. From the samples.",
            partial(latency_figures.curve, load.curve),
        )
    if load.operations["response_p50"].notna().any():
        yield PageFigure(
            "operations",
            DISTRIBUTION,
            "Response time per operation",
            "Successes of the measured part; a percentile with too few samples is not drawn. From the "
            "samples.",
            partial(latency_figures.operations, load.operations),
        )


LEAST_SPREAD = 1.5
"""Ratio of the load of busy windows to that of quiet ones from which figures against load are drawn."""


def _spread(load: LoadTables) -> tuple[float, float]:
    """The 5th and 95th percentile over windows of the offered load per second; 0 if windows are too few.

    Windows in which few requests were due differ by chance alone, so only those that allow a 90th
    percentile count: of a hundred requests chance makes 16 % at most.
    """
    offered = load.against["offered"][load.against["p90"].notna()].to_numpy()
    if len(offered) < MINIMUM_WINDOWS:
        return 0.0, 0.0
    low, high = np.percentile(offered, [5, 95])
    return float(low), float(high)


def omitted(found: PageContent) -> list[OmittedFigure]:
    """The figures that a page of this run leaves out, with a one-line reason for each."""
    drawn = {figure.name for figure in of(found)}
    return [each for each in _optional(found) if each.name not in drawn]


def _optional(found: PageContent) -> Iterator[OmittedFigure]:
    """Every figure that some pages lack, with the reason that holds if this page lacks it."""
    load = found.load
    if load is not None:
        low, high = _spread(load)
        why = f"the offered load hardly varied ({low:.1f} to {high:.1f} requests/s): a sweep shows it"
        if high == 0:
            why = f"fewer than {MINIMUM_WINDOWS} windows of {load.against_bin_s} s hold enough successes"
        yield OmittedFigure("achieved-against-offered", AGAINST_LOAD, "Achieved against offered load", why)
        yield OmittedFigure("latency-against-load", AGAINST_LOAD, "Response time against offered load", why)
        few = "too few requests succeeded"
        yield OmittedFigure("percentile-curve", DISTRIBUTION, "Percentile curve", few)
        yield OmittedFigure("operations", DISTRIBUTION, "Response time per operation", few)
        yield from _without_budget(found.budget)
    why = "no counters of a proxy were recorded and gate S1 has no verdict"
    yield OmittedFigure("backends", SERVED, "Share per backend", why)
    why = "the run holds no evidence of gates S"
    yield OmittedFigure("mapping", SERVED, "Sources and their backends", why)
    why = "no counters of the broker were recorded and gate E2 has no verdict"
    yield OmittedFigure("engines", SERVED, "Share per engine", why)
    why = "the run holds no evidence of gate E2"
    yield OmittedFigure("rotation", SERVED, "Rotation over the engines", why)
    if not found.evidence.trials:
        yield OmittedFigure("faults", FAULTS, "Faults", "no fault was injected in this run")
    if load is not None:
        why = "neither queues nor stacks were recorded"
        yield OmittedFigure("backlog", COMPONENTS, "Backlog", why)
        why = "no counters of a proxy were recorded"
        yield OmittedFigure("sessions", COMPONENTS, "Open connections per backend", why)
        why = "watch/processes.jsonl is empty (deployment.toml names the command for it, `usage`)"
        yield OmittedFigure("processes", COMPONENTS, "Processor and memory per component", why)
        yield OmittedFigure("generator", GENERATOR, "Lateness of the generator", "no request was sent")


def _without_budget(budget: BudgetTables | None) -> Iterator[OmittedFigure]:
    why = "the run holds no budget of traced requests (`run --trace-windows 5x2s` or `trace RUN` makes it)"
    if budget is not None:
        why = "fewer than 20 requests of each operation were traced"
    yield OmittedFigure("budget", BUDGET, "Latency budget", why)
    if budget is not None:
        why = "fewer than 20 stacks were traced from acceptance to end"
        yield OmittedFigure("stack-budget", BUDGET, "Time of a stack from acceptance to the end", why)


def _of_budget(budget: BudgetTables) -> Iterator[PageFigure]:
    if len(budget.requests):
        yield PageFigure(
            "budget",
            BUDGET,
            "Latency budget",
            "Mean time of requests in each part of their way, for cohorts near a rank of response time. "
            "p50 is the tenth of all requests around the median, p95 the ranks from 92.5 to 97.5 %, p99 "
            "those from 98.5 to 99.5 %, each if there are enough requests for that percentile. Keystone's "
            "part is in the API before its first RPC."
            f"{_drawn(budget.requests)} From the broker's trace, the proxy's log and the samples.",
            partial(budget_figures.segments, budget.requests, REQUEST_LABELS),
        )
    if len(budget.stacks):
        yield PageFigure(
            "stack-budget",
            BUDGET,
            "Time of a stack from acceptance to the end",
            "Mean time along the chain of messages that the last one depends on, from the acceptance until "
            "the load saw the end, for the same cohorts of stacks."
            f"{_drawn(budget.stacks)} From the broker's trace, the ledger and the actions.",
            partial(budget_figures.segments, budget.stacks, STACK_LABELS),
        )


def _drawn(table: pd.DataFrame) -> str:
    drawn, every = len(budget_figures.drawn_operations(table)), table["operation"].nunique()
    return f" {drawn} of {every} operations, those with most time." if drawn < every else ""


def _shares(name: str, title: str, judged: str, found: SharesTable) -> PageFigure:
    unit = {"backends": "connections", "engines": "deliveries"}[name] if found.under_load else judged
    return PageFigure(
        name,
        SERVED,
        title,
        f"{found.source} {_tick(found) if name == 'backends' else 'The tick is an equal share.'}",
        partial(share_bars.bars, found.table, f"share of {unit}"),
    )


def _tick(found: SharesTable) -> str:
    if "predicted" not in found.table or found.table["predicted"].isna().all():
        return "The tick is the share that weights alone give."
    return (
        "The tick is the share that the proxy's source hash gives to the addresses of this load; the "
        "hatched band holds the shares of as many random addresses in 99 % of cases. If a server was "
        "out of the rotation during the run, there is no band, and the tick is the share that weights give."
    )


def _of_gates(evidence: GateEvidence) -> Iterator[PageFigure]:
    if len(evidence.mapping):
        yield PageFigure(
            "mapping",
            SERVED,
            "Sources and their backends",
            "Each column is a source address, filled where a backend served it: affinity is one filled "
            "field per column. Sources that more than one backend served come first. From the evidence of "
            "gate S1.",
            partial(gate_figures.mapping, evidence.mapping),
        )
    if len(evidence.rotation):
        yield PageFigure(
            "rotation",
            SERVED,
            "Rotation over the engines",
            "Which engine took which call, with one call in flight. From the evidence of gate E2.",
            partial(gate_figures.rotation, evidence.rotation),
        )
    for file in sorted({trial.file for trial in evidence.trials}):
        subject = "This load" if file == "load" else f"Gate {file}"
        seconds = " (seconds in which there were any)" if file == "load" else ""
        yield PageFigure(
            f"faults-{file}",
            FAULTS,
            f"{subject}: faults, their detection by the proxy, and failed requests",
            "Pale: from the fault to the start of its healing. Dark: the proxy showed the server out of "
            "its rotation. Red: requests that were not served, from when they were due to their end"
            f"{seconds}. "
            "Detected: from the fault until the proxy had the server out; back: from the end of the pale "
            "bar until the proxy had it back (this includes the start of a killed process).",
            partial(gate_figures.faults, [trial for trial in evidence.trials if trial.file == file]),
        )


def _of_polls(polls: PollTables, marks: Marks, end_s: float) -> Iterator[PageFigure]:
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
            "As the proxy counted them at each poll. Red bands, here and above: the proxy had a server out "
            "of its rotation.",
            partial(polled_figures.sessions, polls.sessions, marks, end_s),
        )
    if len(polls.processes):
        yield PageFigure(
            "processes",
            COMPONENTS,
            "Processor and memory per component",
            "Processors used between two polls: darker is more. On the right their mean and the largest "
            "resident memory.",
            partial(polled_figures.processes, polls.processes, marks, end_s),
        )


def _upgrade(
    upgrade: UpgradeTables, load: LoadTables, polled: PollTables | None, marks: Marks
) -> PageFigure:
    return PageFigure(
        "upgrade",
        UPGRADE,
        upgrade.heading,
        "A bar is a step, from its begin until its effect was seen; orange ones took something back, red "
        "ones were not done. Below: requests that failed, percentiles of the successes, messages that "
        "engines got on each virtual host, and stacks that were accepted and not yet seen final. From "
        "evidence/upgrade.json, gate U1, the samples and the ledger.",
        partial(
            upgrade_figures.over_time, upgrade, load, polled.stacks if polled else pd.DataFrame(), marks
        ),
    )


def _time_line(steps: pd.DataFrame) -> Iterator[PageFigure]:
    took_s = (steps["to_s"] - steps["from_s"]).groupby(steps["gate"], sort=False).sum()
    drawn = int((took_s >= gate_figures.SHORTEST_S).sum())
    if drawn:
        yield PageFigure(
            "gates-over-time",
            GATES,
            "When each gate ran",
            f"{drawn} of the {len(took_s)} gates of the last acceptance run that wrote to this folder; the "
            f"others took less than {gate_figures.SHORTEST_S:g} s each. The shades of a bar are the steps "
            "of its gate; tables/timings.csv names them. From timings.json.",
            partial(gate_figures.time_line, steps),
        )


def _generator(load: LoadTables, workers: pd.DataFrame, marks: Marks) -> PageFigure:
    busy = f", and how busy each generating process was (dashed: {MOST_CPU_SHARE:.0%})"
    unknown = "; how busy its processes were was not recorded"
    return PageFigure(
        "generator",
        GENERATOR,
        "Lateness of the generator",
        "How long after it was due a request was sent, how many were in flight"
        f"{busy if len(workers) else unknown}. A generator that is late or busy is itself a bottleneck.",
        partial(rate_figures.generator, load.generator, load.rates["in_flight"], workers, marks),
    )
