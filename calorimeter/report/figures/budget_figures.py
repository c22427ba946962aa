"""The figures of a latency budget: bars of segments, one for each cohort of an operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout

MOST_PANELS = 12
"""Operations that are drawn, at most: those that took most time in all."""

LOOKS: Mapping[str, tuple[str, str]] = {
    "generator": (style.PALE, ""),
    "start": (style.PALE, ""),
    "proxy": (style.MUTED, ""),
    "api_before": (style.SKY, ""),
    "broker": ("#b86414", ""),
    "redelivery": (style.RED, "...."),
    "engine": (style.BLUE, ""),
    "api_between": (style.SKY, "////"),
    "between": (style.SKY, "////"),
    "api_after": ("#bfe0f4", ""),
    "way_back": ("#bfe0f4", "\\\\\\\\"),
    "end": ("#bfe0f4", ""),
    "unseen": ("white", "xxxx"),
}
"""Fill and hatch of each segment: dark and light alternate, so that neighbours differ in grey, too."""

_DARK = (style.BLUE, style.RED, style.MUTED, "#b86414")
_LEAST_LABEL = {False: 0.085, True: 0.17}
"""The part of the axis that a bar needs to be labelled in it, by whether the layout is narrow."""


def drawn_operations(table: pd.DataFrame) -> list[str]:
    """The operations that are drawn, those with most time in all first; `all` is the first of them."""
    total = (table["mean_s"] * table["requests"]).groupby(table["operation"], sort=False).max()
    ordered = sorted(total.index, key=lambda name: (name != "all", -total[name]))
    return [str(name) for name in ordered[:MOST_PANELS]]


def segments(table: pd.DataFrame, labels: Mapping[str, str], layout: Layout) -> Figure:
    """One panel for each operation, each with its own axis of time, and one bar for each cohort.

    `table`: `operation`, `requests`, `cohort`, `n`, `mean_s` and a column for each key of `labels`, all s.
    """
    names = drawn_operations(table)
    parts = [table[table["operation"] == name] for name in names]
    shown = {name: text for name, text in labels.items() if (table[name] > 0).any()}
    heights = [0.46 + 0.27 * len(part) for part in parts]
    legend_rows = -(-len(shown) // (2 if layout.narrow else 4))
    height_in = min(sum(heights) + 0.22 * legend_rows + 0.3, style.HIGHEST_IN)
    figure = Figure(figsize=(layout.width_in, height_in), layout="constrained")
    axes = figure.subplots(len(parts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, name, part in zip(axes, names, parts, strict=True):
        _panel(panel, part, list(shown), layout)
        panel.set_title(name, loc="left", fontsize=8.5, pad=3)
    handles = [
        Patch(
            facecolor=LOOKS[name][0], hatch=LOOKS[name][1], edgecolor=style.INK, linewidth=0.4, label=text
        )
        for name, text in shown.items()
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2 if layout.narrow else 4)
    return figure


def _panel(panel: Axes, part: pd.DataFrame, names: Sequence[str], layout: Layout) -> None:
    places = range(len(part))[::-1]
    right = 1.32 * float(part["mean_s"].max()) or 1.0
    for place, (_, row) in zip(places, part.iterrows(), strict=True):
        at = 0.0
        for name in names:
            took = float(row[name])
            fill, hatch = LOOKS[name]
            panel.barh(
                place,
                took,
                left=at,
                height=0.74,
                color=fill,
                hatch=hatch,
                edgecolor=style.INK,
                linewidth=0.3,
            )
            if took > _LEAST_LABEL[layout.narrow] * right and not hatch:
                colour = "white" if fill in _DARK else style.INK
                _text(panel, at + took / 2, place, style.seconds(took), colour, "center")
            at += took
        _text(panel, at, place, f"  {style.seconds(row['mean_s'])}  (n {row['n']:,})", style.INK, "left")
    panel.set_yticks(list(places), list(part["cohort"]))
    panel.set_ylim(-0.55, len(part) - 0.45)
    panel.set_xlim(0, right)
    panel.xaxis.set_major_locator(MaxNLocator(4 if layout.narrow else 7))
    panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.seconds(value)))
    panel.tick_params(axis="y", length=0)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")


def _text(panel: Axes, at: float, place: float, text: str, colour: str, side: str) -> None:
    panel.text(at, place, text, ha=side, va="center", fontsize=7, color=colour)
