"""Figures of rates: offered load, answers, and the health of the generator."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calorimeter.core.recorded.load_generator import MOST_CPU_SHARE
from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout, Marks


def over_time(rates: pd.DataFrame, marks: Marks, layout: Layout) -> Figure:
    """Offered and achieved requests per second, with errors and drops in a panel of their own.

    `rates`: `t_s`, and per second `offered`, `achieved`, `errors`, `dropped`.
    """
    trouble = bool((rates["errors"] + rates["dropped"]).sum())
    figure, axes = style.canvas(layout, (2.5, 1.0) if trouble else (2.9,))
    panel = axes[0]
    edges = _edges(rates)
    panel.stairs(rates["offered"], edges, fill=True, color=style.PALE, alpha=0.8, label="offered")
    panel.stairs(
        rates["achieved"],
        edges,
        baseline=None,
        color=style.BLUE,
        linewidth=1.4,
        label="answered as expected",
    )
    panel.set_ylim(0, max(1.0, 1.12 * float(rates[["offered", "achieved"]].max().max())))
    panel.set_ylabel("requests / s")
    style.legend(panel, 2, layout)
    if trouble:
        _trouble(axes[1], rates, layout)
    style.time_axis(axes, marks, float(edges[-1]), layout)
    return figure


def _edges(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """The edges of the bins whose middles are `t_s`; the first begins at 0."""
    middles = table["t_s"].to_numpy(dtype=np.float64)
    return np.append(middles - middles[0], middles[-1] + middles[0])


def _trouble(panel: Axes, rates: pd.DataFrame, layout: Layout) -> None:
    width = float(rates["t_s"].iloc[0]) * 2
    panel.bar(rates["t_s"], rates["errors"], width=width, color=style.RED, label="errors")
    if rates["dropped"].any():
        panel.bar(
            rates["t_s"],
            rates["dropped"],
            bottom=rates["errors"],
            width=width,
            color="white",
            edgecolor=style.INK,
            hatch="////",
            linewidth=0.4,
            label="dropped, never sent",
        )
    panel.set_ylabel("not ok / s")
    style.legend(panel, 2, layout)


def generator(
    lags: pd.DataFrame, in_flight: pd.Series, workers: pd.DataFrame, marks: Marks, layout: Layout
) -> Figure:
    """Lateness of requests, requests in flight at the end of each bin, and load of the generator.

    `lags`: `t_s`, `lag_p50`, `lag_p99`, `lag_max` in s; `workers`: `t_s`, `worker`, `cpu_share` of one
    core and `lag_p99_s`; may be empty.
    """
    figure, (upper, lower, *rest) = style.canvas(layout, (1.9, 1.2, 1.2) if len(workers) else (1.9, 1.2))
    upper.set_yscale("log")
    edges = _edges(lags)
    largest = lags["lag_max"].clip(lower=1e-6)
    upper.stairs(largest, edges, baseline=None, color=style.DOT, label="largest")
    for name, colour, dash in (("p99", style.ORANGE, "-."), ("p50", style.INK, "-")):
        shown = lags[lags[f"lag_{name}"].notna()]
        if len(shown):
            upper.plot(
                shown["t_s"],
                shown[f"lag_{name}"].clip(lower=1e-6),
                color=colour,
                linestyle=dash,
                label=name,
            )
    if len(workers) and workers["lag_p99_s"].notna().any():
        upper.scatter(
            workers["t_s"],
            workers["lag_p99_s"].clip(lower=1e-6),
            s=9,
            marker="s",
            facecolor="none",
            edgecolor=style.BLUE,
            linewidth=0.8,
            label="p99 of its own timer",
        )
    upper.set_ylabel("late by")
    style.log_durations(upper.yaxis)
    style.legend(upper, 4, layout)
    lower.stairs(in_flight, edges, baseline=None, color=style.BLUE)
    lower.set_ylim(bottom=0)
    lower.set_ylabel("in flight")
    for panel in rest:
        _busy(panel, workers, layout)
    style.time_axis([upper, lower, *rest], marks, float(edges[-1]), layout)
    return figure


def _busy(panel: Axes, workers: pd.DataFrame, layout: Layout) -> None:
    for (name, own), (colour, dash) in zip(workers.groupby("worker"), style.SERIES * 9, strict=False):
        panel.plot(
            own["t_s"], own["cpu_share"], color=colour, linestyle=dash, linewidth=1.2, label=str(name)
        )
    panel.axhline(MOST_CPU_SHARE, color=style.RED, linewidth=0.9, linestyle=(0, (4, 3)))
    panel.set_ylim(0, max(1.05, 1.05 * float(workers["cpu_share"].max())))
    panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.set_ylabel("of one core")
    style.legend(panel, 4, layout)
