"""Figures of the evidence of gates: mapping, rotation, faults."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout
from calorimeter.report.tables.gate_evidence import FaultTrialRow


def mapping(table: pd.DataFrame, layout: Layout) -> Figure:
    """Source × backend, one panel per API: one column per source, filled where it was served.

    `table`: `api`, `source`, `server`, `n`; sources in the order of their backend.
    """
    apis = [(str(name), own) for name, own in table.groupby("api", sort=True)]
    heights = tuple(0.45 + 0.26 * own["server"].nunique() for _, own in apis)
    figure = Figure(figsize=(layout.width_in, sum(heights) + 0.3), layout="constrained")
    axes = figure.subplots(len(apis), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, (api, own) in zip(axes, apis, strict=True):
        counts = own.pivot_table(index="server", columns="source", values="n", fill_value=0)
        # Sources that more than one backend served come first: they refute affinity.
        order = sorted(
            counts.columns,
            key=lambda source: (-(counts[source] > 0).sum(), counts[source].to_numpy().argmax(), source),
        )
        served = (counts[order] > 0).to_numpy()
        panel.pcolormesh(
            np.where(served, 1.0, np.nan), cmap=style.ONE_COLOUR, vmin=0, vmax=1, rasterized=True
        )
        panel.set_yticks(np.arange(len(counts)) + 0.5, list(counts.index))
        panel.set_ylim(len(counts), 0)
        panel.grid(visible=False)
        panel.set_xlabel(f"{len(order):,} source addresses, {api.upper()}")
        panel.tick_params(axis="y", length=0)
        for line in range(1, len(counts)):
            panel.axhline(line, color="white", linewidth=2)
    return figure


def rotation(table: pd.DataFrame, layout: Layout) -> Figure:
    """Which engine took which call: `call`, `engine`; the first hundred."""
    shown = table.head(50 if layout.narrow else 100)
    names = sorted(shown["engine"].unique())[::-1]
    figure, (panel,) = style.canvas(layout, (0.75 + 0.26 * len(names),))
    places = shown["engine"].map({name: place for place, name in enumerate(names)})
    panel.plot(shown["call"], places, color=style.PALE, linewidth=0.8, zorder=1)
    panel.scatter(shown["call"], places, s=11, color=style.BLUE, zorder=2)
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.set_xlim(0, len(shown) + 1)
    panel.set_xlabel(f"call (the first {len(shown)} of {len(table)})")
    return figure


SHORTEST_S = 1.0
"""The shortest gate that `time_line` draws."""


def time_line(steps: pd.DataFrame, layout: Layout) -> Figure:
    """When each gate ran: `gate`, `step`, `from_s`, `to_s`; one lane per gate, a shade per step.

    Gates that took less than `SHORTEST_S` have no lane.
    """
    spans = steps.groupby("gate", sort=False)
    lanes = [(str(gate), own) for gate, own in spans if (own["to_s"] - own["from_s"]).sum() >= SHORTEST_S]
    gates = [gate for gate, _ in lanes]
    figure, (panel,) = style.canvas(layout, (0.7 + 0.19 * len(gates),))
    for place, (_, own) in enumerate(lanes):
        lengths = own["to_s"] - own["from_s"]
        shades = [style.SKY if number % 2 else style.BLUE for number in range(len(own))]
        panel.barh([place] * len(own), lengths, left=own["from_s"], height=0.7, color=shades, linewidth=0)
        panel.text(own["to_s"].max(), place, f" {lengths.sum():.1f} s", va="center", fontsize=7)
    panel.set_yticks(range(len(gates)), gates, fontsize=7)
    panel.set_ylim(len(gates) - 0.4, -0.6)
    panel.set_xlim(0, 1.1 * float(steps["to_s"].max()) or 1.0)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")
    panel.set_xlabel("time since the first gate began (s)")
    return figure


_KINDS = (
    ("fault", style.PALE, "broken", 0.84),
    ("out", style.INK, "out of the proxy's rotation", 0.30),
    ("failed", style.RED, "request not served, from due to end", 0.5),
)


def faults(trials: Sequence[FaultTrialRow], layout: Layout) -> Figure:
    """One panel per trial: faults, outages at the proxy, and requests that were not served."""
    lanes = [list(trial.lanes)[::-1] for trial in trials]
    heights = tuple(0.48 + 0.24 * len(each) for each in lanes)
    figure = Figure(figsize=(layout.width_in, sum(heights) + 0.7), layout="constrained")
    axes = figure.subplots(len(trials), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for panel, trial, names in zip(axes, trials, lanes, strict=True):
        _trial(panel, trial, names)
    begin = "first request" if trials[-1].file == "load" else "trial began"
    axes[-1].set_xlabel(f"time since the {begin} (s)")
    handles = [Patch(color=colour, label=label) for _, colour, label, _ in _KINDS]
    figure.legend(handles=handles, loc="outside upper left", ncols=1 if layout.narrow else 3)
    return figure


def _trial(panel: Axes, trial: FaultTrialRow, names: list[str]) -> None:
    for kind, colour, _, height in _KINDS:
        own = trial.spans[trial.spans["kind"] == kind]
        panel.barh(
            own["lane"].map(names.index),
            np.maximum(own["to_s"] - own["from_s"], 0.004 * trial.length_s),
            left=own["from_s"],
            height=height,
            color=colour,
            linewidth=0,
            alpha=0.8 if kind == "failed" else 1.0,
        )
    panel.set_yticks(range(len(names)), names)
    panel.set_ylim(-0.6, len(names) - 0.4)
    panel.set_xlim(0, trial.length_s)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")
    panel.set_title(f"{trial.file}: {trial.fault}{_delays(trial)}", loc="left", fontsize=8.5, pad=3)


def _delays(trial: FaultTrialRow) -> str:
    """Detection and recovery of the first broken server, or the range over several."""
    detections = trial.detections
    words = []
    for name, word in (("detection_s", "detected after"), ("recovery_s", "back after")):
        known = detections[name].dropna()
        if len(known):
            ends = dict.fromkeys((f"{known.min():.1f}", f"{known.max():.1f}"))
            words.append(f"{word} {' to '.join(ends)} s")
    return f": {', '.join(words)}" if words else ""
