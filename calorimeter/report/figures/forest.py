"""The figure of a comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from calorimeter.report.figures import style
from calorimeter.report.figures.style import Layout


def forest(rows: pd.DataFrame, layout: Layout) -> Figure:
    """Each measure's relative difference with its interval; filled if a difference was detected.

    `rows`: `name`, `difference`, `low`, `high` (shares), `detected`.
    """
    shown = rows.iloc[::-1]
    figure, (panel,) = style.canvas(layout, (0.8 + 0.32 * len(shown),))
    places = np.arange(len(shown))
    panel.axvline(0, color=style.MUTED, linewidth=1)
    panel.hlines(places, shown["low"], shown["high"], color=style.BLUE, linewidth=1.6)
    for detected, face, label in (
        (True, style.BLUE, "difference"),
        (False, "white", "no detectable difference"),
    ):
        own = (shown["detected"] == detected).to_numpy()
        if own.any():
            panel.scatter(
                shown["difference"][own],
                places[own],
                s=34,
                facecolor=face,
                edgecolor=style.BLUE,
                linewidth=1.4,
                zorder=3,
                label=label,
            )
    panel.set_yticks(places, list(shown["name"]))
    panel.set_ylim(-0.6, len(shown) - 0.4)
    panel.grid(visible=False, axis="y")
    panel.grid(visible=True, axis="x")
    panel.xaxis.set_major_formatter(PercentFormatter(1.0))
    panel.set_xlabel("right against left, relative difference")
    style.legend(panel, 1 if layout.narrow else 2, layout)
    return figure
