"""The figure of shares per backend or engine."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout


def bars(shares: pd.DataFrame, label: str, layout: Layout) -> Figure:
    """One bar per server or engine, with a tick at its expected share; one panel per group.

    `shares`: `group`, `name`, `n` (may be missing), `share`, `expected`, and if known `low` and `high`
    of a band and the `predicted` share, which the tick shows then; `label` names the x axis.
    """
    groups = [(str(name), part) for name, part in shares.groupby("group", sort=True)]
    heights = tuple(0.30 * len(part) + 0.32 for _, part in groups)
    figure, axes = style.canvas(layout, (*heights[:-1], heights[-1] + 0.45))
    widest = [name for name in ("share", "expected", "high") if name in shares]
    right = 1.30 * float(shares[widest].max().max())
    for panel, (name, part) in zip(axes, groups, strict=True):
        _panel(panel, part, name)
        panel.set_xlim(0, right)
        if right > 1:  # room for the numbers, not for shares
            panel.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes[-1].set_xlabel(label)
    style.legend(axes[0], 3, layout)
    return figure


def _panel(panel: Axes, part: pd.DataFrame, name: str) -> None:
    places = np.arange(len(part))[::-1]
    banded = "high" in part and bool(part["high"].notna().all())
    tick = "predicted" if banded else "expected"
    panel.barh(places, part["share"], height=0.62, color=style.SKY, label="measured")
    for place, (_, row) in zip(places, part.iterrows(), strict=True):
        count = f"  ({row['n']:,.0f})" if pd.notna(row["n"]) else ""
        panel.text(
            max(row["share"], row["expected"], row.get("high", 0.0) if banded else 0.0),
            place,
            f"  {row['share']:.1%}{count}",
            va="center",
            fontsize=8,
        )
    if banded:
        panel.barh(
            places,
            part["high"] - part["low"],
            left=part["low"],
            height=0.84,
            facecolor="none",
            edgecolor=style.MUTED,
            hatch="////",
            linewidth=0.6,
            alpha=0.55,
            label="99 % of random addresses",
        )
    panel.vlines(
        part[tick], places - 0.42, places + 0.42, color=style.INK, linewidth=1.8, label=f"{tick} share"
    )
    panel.set_yticks(places, list(part["name"]))
    panel.set_ylim(-0.6, len(part) - 0.4)
    panel.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel.tick_params(axis="y", length=0)
    panel.spines["left"].set_visible(False)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")
    if name:
        panel.set_title(name, loc="right", fontsize=8, color=style.MUTED, pad=2)
