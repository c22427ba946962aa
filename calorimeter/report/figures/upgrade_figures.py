"""The figure of an upgrade: its steps over time, with what requests and engines did meanwhile."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout, Marks
from calorimeter.report.load_tables import LoadTables
from calorimeter.report.tables.upgrade_steps import UpgradeTables

LANE_IN = 0.17


def over_time(
    upgrade: UpgradeTables, load: LoadTables, stacks: pd.DataFrame, marks: Marks, layout: Layout
) -> Figure:
    """Steps, failed requests, response times, messages by virtual host, stacks in progress; a panel each.

    `stacks`: `t_s`, `in_progress`; it may be empty, as may be the messages.
    """
    lanes = max(1, len(upgrade.steps))
    more = (0.9,) * (bool(len(upgrade.work)) + bool(len(stacks)))
    figure, axes = style.canvas(layout, (0.35 + LANE_IN * lanes, 0.8, 1.1, *more))
    _steps(axes[0], upgrade.steps, layout)
    _failed(axes[1], load)
    _response_times(axes[2], load, layout)
    panels = iter(axes[3:])
    if len(upgrade.work):
        _messages(next(panels), upgrade.work, layout)
    if len(stacks):
        panel = next(panels)
        panel.plot(stacks["t_s"], stacks["in_progress"], drawstyle="steps-pre", color=style.BLUE)
        _titled(panel, "stacks in progress")
    style.time_axis(axes, marks, load.axis.bins * load.axis.bin_s, layout)
    return figure


def _steps(panel: Axes, steps: pd.DataFrame, layout: Layout) -> None:
    """A lane for each step: forward in blue, back in orange, what failed in red; hatched alike for grey."""
    names = []
    for place, row in enumerate(steps.to_dict("records")):
        colour, hatch = (style.ORANGE, "////") if row["back"] else (style.BLUE, "")
        if row["end"] != "done":
            colour, hatch = style.RED, "xxxx"
        panel.barh(
            place, max(row["took_s"], 0.3), left=row["from_s"], height=0.72, color=colour, hatch=hatch,
            edgecolor="white", linewidth=0,
        )  # fmt: skip
        failed = row["unexcused"] if row["unexcused"] == row["unexcused"] else 0
        text = f" {row['took_s']:.1f} s" + (f", {failed:.0f} failed" if failed else "")
        text += f", {row['lost']} lost" if row["lost"] else ""
        right = row["from_s"] + row["took_s"] > 0.75 * _end(steps)
        at_s = row["from_s"] if right else row["from_s"] + row["took_s"]
        ink = style.RED if failed or row["lost"] else style.INK
        panel.text(
            at_s, place, f"{text} " if right else text, va="center", ha="right" if right else "left",
            fontsize=6, color=ink,
        )  # fmt: skip
        name = f"{row['action']} {row['part']}".strip()
        names.append(f"{name[:18]}…" if layout.narrow and len(name) > 19 else name)
    panel.set_yticks(range(len(names)), names, fontsize=6.5)
    panel.set_ylim(len(names) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")
    panel.tick_params(axis="y", length=0)


def _end(steps: pd.DataFrame) -> float:
    return float((steps["from_s"] + steps["took_s"]).max())


def _failed(panel: Axes, load: LoadTables) -> None:
    rates = load.rates
    panel.fill_between(rates["t_s"], rates["errors"], step="mid", color=style.RED, linewidth=0)
    panel.set_ylim(0, max(1.0, 1.2 * float(rates["errors"].max())))
    _titled(panel, "failed requests per second")


def _response_times(panel: Axes, load: LoadTables, layout: Layout) -> None:
    panel.set_yscale("log")
    for table, (name, _, colour) in (
        (load.latencies, style.PERCENTILES[0]),
        (load.latencies, style.PERCENTILES[1]),
        (load.tails, style.PERCENTILES[2]),
    ):
        if name in table and table[name].notna().any():
            panel.plot(table["t_s"], table[name], color=colour, label=name, linewidth=1.2)
    style.log_durations(panel.yaxis)
    _titled(panel, "response time")
    if panel.get_legend_handles_labels()[0]:
        style.legend(panel, 3, layout)


def _messages(panel: Axes, work: pd.DataFrame, layout: Layout) -> None:
    for (vhost, own), (colour, dash) in zip(work.groupby("vhost"), style.SERIES * 9, strict=False):
        panel.plot(own["t_s"], own["per_s"], color=colour, linestyle=dash, label=str(vhost), linewidth=1.2)
    panel.set_ylim(bottom=0)
    _titled(panel, "messages to engines per second")
    style.legend(panel, 4, layout)


def _titled(panel: Axes, text: str) -> None:
    panel.set_title(text, loc="right", fontsize=8, color=style.MUTED, pad=2)
    if panel.get_yscale() == "linear":
        panel.yaxis.set_major_locator(MaxNLocator(3, integer=True))
