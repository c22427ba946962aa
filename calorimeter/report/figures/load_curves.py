"""Figures of throughput and response time against the offered load."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout


def achieved(table: pd.DataFrame, layout: Layout) -> Figure:
    """Answers against requests per second, one point per window; errors and drops below.

    `table`: per second `offered`, `achieved`, `errors`, `dropped`.
    """
    trouble = bool((table["errors"] + table["dropped"]).sum())
    figure, axes = style.canvas(layout, (2.6, 1.1) if trouble else (2.9,))
    panel = axes[0]
    most = 1.06 * float(table["offered"].max())
    panel.plot([0, most], [0, most], color=style.MUTED, linewidth=0.9, linestyle=(0, (4, 3)), label="all")
    _dots(panel, table, "achieved", "o", style.BLUE, "answered as expected")
    panel.set_ylim(0, max(1.0, 1.06 * float(table[["offered", "achieved"]].max().max())))
    panel.set_ylabel("answered / s")
    style.legend(panel, 2, layout)
    if trouble:
        _dots(axes[1], table, "errors", "x", style.RED, "errors")
        if table["dropped"].any():
            _dots(axes[1], table, "dropped", "^", style.INK, "dropped, never sent")
        axes[1].set_ylim(bottom=0)
        axes[1].set_ylabel("not ok / s")
        style.legend(axes[1], 2, layout)
    axes[-1].set_xlim(0, most)
    axes[-1].set_xlabel("offered load (requests due / s)")
    return figure


def latency(table: pd.DataFrame, layout: Layout) -> Figure:
    """Percentiles of response time against requests per second, one point per window.

    `table`: `offered` per second; `p50`, `p90`, `p99` in s, NaN if there are too few.
    """
    figure, (panel,) = style.canvas(layout, (3.0,))
    panel.set_yscale("log")
    for name, marker, colour in style.PERCENTILES[:3]:
        if table[name].notna().any():
            _dots(panel, table, name, marker, colour, name)
    panel.set_ylabel("response time")
    style.log_durations(panel.yaxis)
    panel.set_xlim(0, 1.06 * float(table["offered"].max()))
    panel.set_xlabel("offered load (requests due / s)")
    style.legend(panel, 3, layout)
    return figure


def _dots(panel: Axes, table: pd.DataFrame, name: str, marker: str, colour: str, label: str) -> None:
    known = table[np.isfinite(table[name])]
    # Hollow, so that points on one another stay seen; a cross has no face.
    panel.scatter(
        known["offered"],
        known[name],
        s=20,
        marker=marker,
        linewidth=1.1,
        label=label,
        facecolor=colour if marker == "x" else "none",
        edgecolor=None if marker == "x" else colour,
    )
