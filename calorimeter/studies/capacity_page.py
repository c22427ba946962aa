"""A capacity search as a page: its result, the curve around it, every level that was tried."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calorimeter.core.statistics import Floats
from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout
from calorimeter.studies import study_page
from calorimeter.studies.capacity_search_result import CapacitySearchResult
from calorimeter.studies.levels import Level

HEADINGS = ("level", "kind", "offered / s", "achieved / s", "failed", "p50", "p95", "p99", "holds", "why")


def sentence(result: CapacitySearchResult) -> str:
    """The result in one sentence."""
    if result.capacity is None and result.broken is None:
        return f"capacity: none; no level was decided: {result.limit}"
    if result.capacity is None:
        lowest = f"the lowest level, {result.broken:g} {result.unit}, does not hold"
        return f"capacity: none; {lowest}: {result.limit}"
    above = "" if result.broken is None else f"; {result.broken:g} does not hold: {result.limit}"
    held = result.held
    rate = f" ({held.achieved_per_s:.1f} successes/s)" if held else ""
    state = f"held for {held.window_s:.0f} s" if result.confirmed and held else "not confirmed"
    return f"capacity: {result.capacity:g} {result.unit}{rate}, {state}{above}"


def levels(result: CapacitySearchResult) -> study_page.Table:
    """Every load of the search, by level."""
    ordered = sorted(result.levels, key=lambda each: each.level)
    return study_page.Table("levels", "Every level that was tried", HEADINGS, tuple(map(_row, ordered)))


def table(result: CapacitySearchResult) -> str:
    """The levels for a terminal."""
    return study_page.text(levels(result))


def _row(level: Level) -> tuple[str, ...]:
    percentiles = (level.response_ms.get(name) for name in ("p50", "p95", "p99"))
    return (
        f"{level.level:g}",
        level.kind,
        f"{level.offered_per_s:.1f}",
        f"{level.achieved_per_s:.1f}",
        f"{level.error_ratio:.2%}",
        *("–" if value is None else style.seconds(value / 1e3) for value in percentiles),
        "yes" if level.holds else "no",
        level.why,
    )


def files(result: CapacitySearchResult) -> study_page.Files:
    """All files of the page by their path in its folder."""
    found = sentence(result)
    lead = (
        f"{found[0].upper()}{found[1:]}.",
        f"Scenario {result.scenario} on {result.deployment}; {len(result.levels)} loads in "
        f"{result.took_s:.0f} s.",
    )
    figures = (
        study_page.StudyFigure(
            "capacity",
            "Above, requests answered as expected at each level; below, response times of successes. "
            "Filled: the level holds; hollow: it does not. The vertical line is the capacity. The curves "
            "go through the last load at each level.",
            partial(curve, result),
        ),
    )
    notes = (
        f"Levels were doubled until one did not hold, then bisected to {result.precision:.0%}. Each was "
        f"loaded for {result.probe_s:g} s, without a warm-up at its start. The capacity was held for "
        f"{result.hold_s:g} s, or for longer if an objective needs more requests to be decided; then the "
        "level above it was probed again.",
        "A level holds if no objective is missed (gate T1), no backlog grows and the generator is not the "
        "bottleneck (gate T3). A backlog grows if its mean over the last third of the load exceeds that "
        "over the first third by more than three standard deviations of a steady state, 3·√(2·mean).",
        "Backlogs are requests in flight, stacks in progress, and messages that wait in the queues.",
        "A probe is short: an objective with too few samples is not decided by it, and must be met in the "
        "hold. A load that shows nothing of the deployment, because the generator was the bottleneck or "
        "because the hold did not decide an objective, was repeated and is not in the figure.",
    )
    return study_page.files(
        f"Capacity: {result.scenario}", lead, figures, (levels(result),), notes, result, "capacity.json"
    )


def curve(result: CapacitySearchResult, layout: Layout) -> Figure:
    """Achieved against level, and percentiles of the response time against level."""
    figure, (above, below) = style.canvas(layout, (2.3, 2.3))
    ordered = sorted((each for each in result.levels if each.conclusive), key=lambda each: each.level)
    at = np.array([each.level for each in ordered])
    holds = np.array([each.holds for each in ordered])
    achieved = np.array([each.achieved_per_s for each in ordered])
    _marks(above, at, achieved, holds, style.BLUE, "achieved")
    above.plot(at, [each.offered_per_s for each in ordered], color=style.MUTED, linestyle=":", linewidth=1,
               label="due")  # fmt: skip
    above.set_ylabel("requests / s")
    above.set_ylim(bottom=0)
    for (colour, dash), name in zip(style.SERIES, ("p50", "p95", "p99"), strict=False):
        known = [each for each in ordered if name in each.response_ms]
        if known:
            values = np.array([each.response_ms[name] / 1e3 for each in known])
            places = np.array([each.level for each in known])
            last = {each.level: each.response_ms[name] / 1e3 for each in known}
            below.plot(list(last), list(last.values()), color=colour, linestyle=dash, linewidth=1.1)
            _marks(below, places, values, np.array([each.holds for each in known]), colour, name)
    below.set_yscale("log")
    style.log_durations(below.yaxis)
    below.set_ylabel("response time")
    below.set_xlabel(f"level ({result.unit})")
    for panel in (above, below):
        if result.capacity is not None:
            panel.axvline(result.capacity, color=style.INK, linewidth=1)
        style.legend(panel, 3, layout)
    return figure


def _marks(
    panel: Axes, at: Floats, values: Floats, holds: npt.NDArray[np.bool_], colour: str, label: str
) -> None:
    panel.scatter(at[holds], values[holds], s=26, color=colour, zorder=3, label=label)
    panel.scatter(at[~holds], values[~holds], s=26, facecolor="white", edgecolor=colour, zorder=3)
