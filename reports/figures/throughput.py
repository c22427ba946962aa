"""Figures of rates: what was offered, what came back, and how the generator did."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reports.figures import style
from reports.figures.style import Layout, Marks


def over_time(rates: pd.DataFrame, marks: Marks, layout: Layout) -> Figure:
    """Offered and achieved requests a second, with errors and drops in a panel of their own.

    `rates`: `t_s`, and per second `offered`, `achieved`, `errors`, `dropped`.
    """
    trouble = bool((rates["errors"] + rates["dropped"]).sum())
    figure, axes = style.canvas(layout, (2.5, 1.0) if trouble else (2.9,))
    panel = axes[0]
    panel.fill_between(
        rates["t_s"],
        rates["offered"],
        step="mid",
        color=style.PALE,
        alpha=0.8,
        linewidth=0,
        label="offered",
    )
    panel.plot(
        rates["t_s"],
        rates["achieved"],
        color=style.BLUE,
        drawstyle="steps-mid",
        label="answered as expected",
    )
    panel.set_ylim(0, max(1.0, 1.12 * float(rates[["offered", "achieved"]].max().max())))
    panel.set_ylabel("requests / s")
    style.legend(panel, 2, layout)
    if trouble:
        _trouble(axes[1], rates, layout)
    width = float(rates["t_s"].iloc[0]) * 2
    style.time_axis(axes, marks, float(rates["t_s"].iloc[-1]) + width / 2, layout)
    return figure


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


def generator(lags: pd.DataFrame, in_flight: pd.Series, marks: Marks, layout: Layout) -> Figure:
    """How late requests were sent, and how many were in flight at the end of each bin.

    `lags`: `t_s`, `lag_p50`, `lag_p99`, `lag_max` in s.
    """
    figure, (upper, lower) = style.canvas(layout, (1.9, 1.2))
    upper.set_yscale("log")
    upper.plot(
        lags["t_s"],
        lags["lag_max"].clip(lower=1e-6),
        color=style.PALE,
        drawstyle="steps-mid",
        label="largest",
    )
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
    upper.set_ylabel("sent late by")
    style.log_durations(upper.yaxis)
    style.legend(upper, 3, layout)
    lower.plot(lags["t_s"], in_flight, color=style.BLUE, drawstyle="steps-mid")
    lower.set_ylim(bottom=0)
    lower.set_ylabel("in flight")
    width = float(lags["t_s"].iloc[0]) * 2
    style.time_axis([upper, lower], marks, float(lags["t_s"].iloc[-1]) + width / 2, layout)
    return figure
