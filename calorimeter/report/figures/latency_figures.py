"""Figures of response and service time."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout, Marks

_LINES = (("p50", style.INK, "-"), ("p90", style.BLUE, "--"), ("p99", style.ORANGE, "-."))


def over_time(
    points: pd.DataFrame, percentiles: pd.DataFrame, tails: pd.DataFrame, marks: Marks, layout: Layout
) -> Figure:
    """Single requests as dots, percentiles of successes as lines, failures as crosses.

    `points`: `t_s`, `response`, `ok`; `percentiles`: `t_s`, `p50`, `p90`; `tails`: `t_s`, `p99`, of
    windows that are wider; all in s.
    """
    figure, (panel,) = style.canvas(layout, (3.2,))
    good, bad = points[points["ok"]], points[~points["ok"]]
    panel.set_yscale("log")
    size = 5 if len(good) < 1500 else 2.5
    panel.scatter(good["t_s"], good["response"], s=size, color=style.DOT, linewidths=0, rasterized=True)
    # The legend has a larger dot: those of the figure are too small to be seen there.
    panel.scatter([], [], s=16, color=style.DOT, linewidths=0, label="request")
    for name, colour, dash in _LINES:
        table = tails if name == "p99" else percentiles
        shown = table[table[name].notna()]
        if len(shown):
            dot = "o" if len(shown) < 40 else ""
            panel.plot(
                shown["t_s"],
                shown[name],
                color=colour,
                linestyle=dash,
                marker=dot,
                markersize=3,
                label=name,
            )
    if len(bad):
        panel.scatter(
            bad["t_s"], bad["response"], s=14, marker="x", color=style.RED, linewidths=0.9, label="not ok"
        )
    panel.set_ylabel("response time")
    low, high = panel.get_ylim()
    panel.set_ylim(low, high * (high / low) ** 0.08)  # room for the names of phases
    style.log_durations(panel.yaxis)
    end = max(float(points["t_s"].max()), float(percentiles["t_s"].max()))
    style.time_axis([panel], marks, end, layout)
    style.legend(panel, 5, layout)
    return figure


def heat_map(cells: pd.DataFrame, marks: Marks, layout: Layout) -> Figure:
    """How many requests took how long, over time; darker is more.

    `cells`: counts; index: lower edges in s, even in the logarithm; columns: middles of bins in s.
    """
    figure, (panel,) = style.canvas(layout, (3.2,))
    lows, middles = cells.index.to_numpy(dtype=float), cells.columns.to_numpy(dtype=float)
    ratio = lows[1] / lows[0]
    width = middles[1] - middles[0] if len(middles) > 1 else 2 * middles[0]
    counts = np.ma.masked_equal(cells.to_numpy(), 0)
    mesh = panel.pcolormesh(
        np.append(middles - width / 2, middles[-1] + width / 2),
        np.append(lows, lows[-1] * ratio),
        counts,
        norm=LogNorm(vmin=1, vmax=max(2, int(counts.max()))),
        cmap=style.INTENSITY,
        rasterized=True,
    )
    panel.set_yscale("log")
    panel.grid(visible=False)
    panel.set_ylim(lows[0], lows[-1] * ratio ** (1 + 0.08 * len(lows)))  # room for the names of phases
    panel.set_ylabel("response time")
    style.log_durations(panel.yaxis)
    bar = figure.colorbar(mesh, ax=panel, pad=0.015, aspect=28)
    bar.set_label(f"requests in {width:g} s")
    most = max(2, int(counts.max()))
    bar.set_ticks([tick for power in range(9) for base in (1, 2, 5) if (tick := base * 10**power) <= most])
    bar.ax.minorticks_off()
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    bar.outline.set_visible(False)
    style.time_axis([panel], marks, float(middles[-1] + width / 2), layout)
    return figure


def curve(percentiles: pd.DataFrame, layout: Layout) -> Figure:
    """Response and service time at each percentile; the x axis gives each nine the same room.

    `percentiles`: `percent`, `response` and `service` in s.
    """
    figure, (panel,) = style.canvas(layout, (3.2,))
    x = -np.log10(1 - percentiles["percent"].to_numpy() / 100)
    panel.plot(x, percentiles["response"], color=style.BLUE, label="response time (from when it was due)")
    panel.plot(
        x,
        percentiles["service"],
        color=style.ORANGE,
        linestyle="--",
        label="service time (from when it was sent)",
    )
    panel.set_yscale("log")
    _nines(panel, float(x[-1]))
    style.log_durations(panel.yaxis)
    panel.set_ylabel("time to the whole answer")
    panel.grid(visible=True, axis="x")
    style.legend(panel, 1 if layout.narrow else 2, layout)
    return figure


def _nines(panel: Axes, end: float) -> None:
    percents = [p for p in (0, 50, 90, 99, 99.9, 99.99) if -math.log10(1 - p / 100) <= end + 0.02]
    panel.set_xticks([-math.log10(1 - p / 100) for p in percents], [f"{p:g}" for p in percents])
    panel.set_xlim(0, end * 1.01)
    panel.set_xlabel("percentile (%)")


def operations(table: pd.DataFrame, layout: Layout) -> Figure:
    """Each operation's median, p90, p99 and p99.9 of response time on one line.

    `table`: `operation`, `n`, `response_p50` … in s, NaN if there are too few samples.
    """
    shown = table[table["response_p50"].notna()].iloc[::-1]
    figure, (panel,) = style.canvas(layout, (0.75 + 0.32 * max(1, len(shown)),))
    panel.set_xscale("log")
    heights = np.arange(len(shown))
    values = shown[[f"response_{name}" for name, _, _ in style.PERCENTILES]]
    panel.hlines(heights, values.min(axis=1), values.max(axis=1), color=style.PALE, linewidth=3, zorder=1)
    for name, marker, colour in style.PERCENTILES:
        if shown[f"response_{name}"].notna().any():
            panel.scatter(
                shown[f"response_{name}"], heights, marker=marker, color=colour, s=26, zorder=2, label=name
            )
    panel.set_yticks(heights, list(shown["operation"]))
    panel.set_ylim(-0.6, len(shown) - 0.4)
    panel.grid(visible=True, axis="x")
    panel.grid(visible=False, axis="y")
    panel.set_xlabel("response time")
    style.log_durations(panel.xaxis)
    if layout.narrow:
        panel.tick_params(axis="x", labelrotation=30)
    style.legend(panel, 4, layout)
    return figure
