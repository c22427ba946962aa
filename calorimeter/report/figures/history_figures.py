"""The figure of a history: one load over many runs, in panels that share the runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout

_PANELS = (
    (("throughput",), "as expected / s"),
    (("p50", "p99"), "response time"),
    (("error_ratio",), "not as expected"),
    (("capacity",), "capacity"),
)
_MARKS = {"p99": ("D", style.ORANGE, "--")}
_MARK = ("o", style.BLUE, "-")


def over_runs(
    points: pd.DataFrame,
    levels: pd.DataFrame,
    changes: pd.DataFrame,
    versions: pd.DataFrame,
    layout: Layout,
) -> Figure:
    """Each point a mark with its spread, each level a line, each change a numbered dashed line.

    `points`: `started` (text) and for each measure its value, `…_low` and `…_high` (NaN if unknown), one
    row for each place from 0 on. `levels`: `measure`, `start`, `end` (places, not included), `value`.
    `changes`: `measure`, `first` (place), `number`, `worse`. `versions`: `place`, `text`.
    """
    shown = [panel for panel in _PANELS if any(key in points.columns for key in panel[0])]
    figure, axes = style.canvas(
        layout, tuple(1.9 if keys != ("error_ratio",) else 1.3 for keys, _ in shown)
    )
    for panel, (keys, label) in zip(axes, shown, strict=True):
        if "p50" in keys:
            panel.set_yscale("log")
        for key in keys:
            if key in points.columns:
                _measure(panel, points, levels[levels["measure"] == key], key)
        _axis(panel, keys, label)
        _changes(panel, changes[changes["measure"].isin(keys)])
    if "p50" in points.columns:
        style.legend(axes[[keys for keys, _ in shown].index(("p50", "p99"))], 2, layout)
    _versions(axes, versions, len(points), layout)
    _places(axes[-1], points["started"], layout)
    _settle(figure, axes)
    return figure


def _settle(figure: Figure, axes: list[Axes]) -> None:
    """Lay out the panels now, and round their places: the solver's last digits differ from time to time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for panel in axes:
        left, bottom, width, height = (round(value, 6) for value in panel.get_position().bounds)
        panel.set_position((left, bottom, width, height))


def _measure(panel: Axes, points: pd.DataFrame, levels: pd.DataFrame, key: str) -> None:
    marker, colour, dash = _MARKS.get(key, _MARK)
    known = points[points[key].notna()]
    places = known.index.to_numpy()
    size = 14 if len(points) < 60 else 6
    wide = known[known[f"{key}_low"] < known[f"{key}_high"]]
    panel.vlines(
        wide.index.to_numpy(), wide[f"{key}_low"], wide[f"{key}_high"], color=colour, linewidth=1.2
    )
    panel.scatter(
        places, known[key], s=size, marker=marker, facecolor="white", edgecolor=colour, linewidth=0.8
    )
    look: Any = {"marker": marker, "markerfacecolor": "white", "markeredgecolor": colour, "markersize": 4}
    panel.plot([], [], color=style.INK, linestyle=dash, label=key, **look)
    for _, level in levels.iterrows():
        ends = (float(level["start"]) - 0.4, float(level["end"]) - 0.6)
        value = float(level["value"])
        panel.plot(ends, (value, value), color=style.INK, linestyle=dash, linewidth=1.6)


def _axis(panel: Axes, keys: tuple[str, ...], label: str) -> None:
    panel.set_ylabel(label)
    if "p50" in keys:
        low, high = panel.get_ylim()
        panel.set_ylim(low, high * (high / low) ** 0.22)
        style.log_durations(panel.yaxis)
        return
    high = max(panel.get_ylim()[1], 1e-4)
    panel.set_ylim(0, high * 1.22)
    if keys == ("error_ratio",):
        panel.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))


def _changes(panel: Axes, changes: pd.DataFrame) -> None:
    """Numbers at the top: white on black if it is for the worse, black on white if for the better."""
    for place, same in changes.groupby("first"):
        at = float(place) - 0.5  # type: ignore[arg-type]
        panel.axvline(at, color=style.INK, linewidth=0.9, linestyle=(0, (4, 2)))
        for row, (number, worse) in enumerate(same.groupby("number")["worse"].any().items()):
            ink, ground = ("white", style.INK) if worse else (style.INK, "white")
            panel.annotate(
                str(number),
                (at, 0.98),
                xycoords=("data", "axes fraction"),
                xytext=(14 * row, 0),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=7,
                color=ink,
                bbox={
                    "boxstyle": "round,pad=0.25",
                    "facecolor": ground,
                    "edgecolor": style.INK,
                    "linewidth": 0.8,
                },
            )


def _versions(axes: list[Axes], versions: pd.DataFrame, count: int, layout: Layout) -> None:
    """Above the first panel, in as many rows as keep their texts apart."""
    ends: list[float] = []
    per_letter = count / (46 if layout.narrow else 105)
    for version in versions.to_dict("records"):
        place, text = float(version["place"]) - 0.5, str(version["text"])
        for panel in axes:
            panel.axvline(place, color=style.MUTED, linewidth=0.7, linestyle=(0, (1, 2)))
        left = min(place, count - 0.5 - len(text) * per_letter)
        row = next((i for i, end in enumerate(ends) if end < left), len(ends))
        ends[row : row + 1] = [left + (len(text) + 1) * per_letter]
        axes[0].annotate(
            text,
            (max(left, -0.5), 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 3 + 10 * row),
            textcoords="offset points",
            fontsize=7,
            color=style.MUTED,
            style="italic",
        )


def _places(panel: Axes, started: pd.Series, layout: Layout) -> None:
    count = len(started)
    panel.set_xlim(-0.7, count - 0.3)
    ticks = np.unique(np.linspace(0, count - 1, min(count, 3 if layout.narrow else 6)).round().astype(int))
    panel.set_xticks(ticks, [str(started.iloc[i])[:10] for i in ticks])
    panel.set_xlabel("runs, in order of time")
