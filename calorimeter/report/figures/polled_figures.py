"""Figures of the polls made during a run."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout, Marks


def backlog(
    queues: pd.DataFrame, stacks: pd.DataFrame, marks: Marks, end_s: float, layout: Layout
) -> Figure:
    """Messages in each queue, and stacks in progress; one panel for each.

    `queues`: `t_s`, `name`, `ready`, `unacknowledged`; `stacks`: `t_s`, `in_progress`; either may be empty.
    """
    names = sorted(queues["name"].unique())
    figure, axes = style.canvas(layout, (1.15,) * (len(names) + bool(len(stacks))))
    for panel, name in zip(axes, names, strict=False):
        own = queues[queues["name"] == name]
        panel.fill_between(
            own["t_s"], own["ready"], step="post", color=style.SKY, label="ready", linewidth=0
        )
        total = own["ready"] + own["unacknowledged"]
        panel.plot(
            own["t_s"], total, drawstyle="steps-post", color=style.INK, label="ready or unacknowledged"
        )
        panel.set_title(f"queue {name}, messages", loc="right", fontsize=8, color=style.MUTED, pad=2)
    if names:
        style.legend(axes[0], 1 if layout.narrow else 2, layout)
    if len(stacks):
        axes[-1].plot(stacks["t_s"], stacks["in_progress"], drawstyle="steps-pre", color=style.BLUE)
        axes[-1].set_title("stacks in progress", loc="right", fontsize=8, color=style.MUTED, pad=2)
    for panel in axes:
        panel.set_ylim(0, max(1.0, 1.15 * panel.get_ylim()[1]))
        panel.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    style.time_axis(axes, marks, end_s, layout)
    return figure


def sessions(table: pd.DataFrame, marks: Marks, end_s: float, layout: Layout) -> Figure:
    """Open connections of each server, one panel per section: `t_s`, `group`, `name`, `open`."""
    groups = [(str(name), own) for name, own in table.groupby("group", sort=True)]
    figure, axes = style.canvas(layout, (1.5,) * len(groups))
    for panel, (group, own) in zip(axes, groups, strict=True):
        for (name, server), (colour, dash) in zip(own.groupby("name"), style.SERIES * 9, strict=False):
            panel.plot(
                server["t_s"],
                server["open"],
                drawstyle="steps-post",
                color=colour,
                linestyle=dash,
                linewidth=1.2,
                label=str(name),
            )
        panel.set_ylim(0, max(1.0, 1.2 * float(own["open"].max())))
        panel.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        panel.set_ylabel("open")
        panel.set_title(group, loc="right", fontsize=8, color=style.MUTED, pad=2)
        style.legend(panel, 4, layout)
    style.time_axis(axes, marks, end_s, layout)
    return figure


def processes(table: pd.DataFrame, marks: Marks, end_s: float, layout: Layout) -> Figure:
    """One strip per part: darker is more of a processor; beside it the mean, and the largest memory.

    `table`: `t_s`, `part`, `cpus`, `rss_bytes`.
    """
    parts = sorted(table["part"].unique())[::-1]
    figure, (panel,) = style.canvas(layout, (1.1 + 0.24 * len(parts),))
    most = max(1.0, float(table["cpus"].max()))
    labels = []
    for place, part in enumerate(parts):
        own = table[table["part"] == part].sort_values("t_s")
        edges = np.append(0.0 if len(own) < 2 else own["t_s"].iloc[0] - np.diff(own["t_s"])[0], own["t_s"])
        mesh = panel.pcolormesh(
            np.maximum(edges, 0),
            [place - 0.42, place + 0.42],
            own[["cpus"]].to_numpy().T,
            vmin=0,
            vmax=most,
            cmap=style.INTENSITY,
            rasterized=True,
        )
        labels.append(f"{own['cpus'].mean():.2f} CPU, {own['rss_bytes'].max() / 1e6:,.0f} MB")
    panel.set_yticks(range(len(parts)), parts)
    panel.set_ylim(-0.6, len(parts) + 0.2)  # room for the names of phases
    panel.grid(visible=False)
    right = panel.secondary_yaxis("right")
    right.set_yticks(range(len(parts)), labels, fontsize=7)
    right.tick_params(length=0)
    right.spines["right"].set_visible(False)
    bar = figure.colorbar(mesh, ax=panel, pad=0.015, location="top", aspect=40, shrink=0.6)
    bar.set_label("processors used")
    bar.outline.set_visible(False)
    style.time_axis([panel], marks, end_s, layout)
    return figure
