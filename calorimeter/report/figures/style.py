"""The look of every figure, and its bytes, which are the same each time."""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

INK = "#1c2430"
MUTED = "#667080"
RULE = "#d5dae1"
BLUE = "#0b5394"
SKY = "#56a8dc"
ORANGE = "#d9822b"
RED = "#b3261e"
PALE = "#c9d3df"
DOT = "#9fb1c4"

INTENSITY = LinearSegmentedColormap.from_list("intensity", ("#dbe7f3", "#86b5dc", "#2f74b5", "#0a2a52"))
"""Light to dark in one hue, so that grey keeps the order."""

ONE_COLOUR = LinearSegmentedColormap.from_list("one", (BLUE, BLUE))

SERIES = (
    ("#0b5394", "-"),
    ("#d9822b", "--"),
    ("#2a9d8f", "-."),
    ("#8e5ea2", ":"),
    ("#5c6773", (0, (5, 1))),
    ("#c4a000", (0, (3, 1, 1, 1))),
    ("#b3261e", (0, (1, 1))),
    ("#56a8dc", (0, (7, 2))),
)
"""Colour and dash of the lines of a figure; each alone distinguishes them, so grey prints do, too."""

PERCENTILES = (("p50", "o", INK), ("p90", "s", BLUE), ("p99", "D", ORANGE), ("p99.9", "v", RED))
"""Marker and colour of the percentiles of a figure."""

_RC: Mapping[str, object] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 8.5,
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "svg.hashsalt": "calorimeter",
    "text.parse_math": False,  # a `$` in a server's name is a dollar
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The width of a figure in inches: one for a page, one for a telephone."""

    width_in: float
    narrow: bool


WIDE = Layout(7.6, narrow=False)
NARROW = Layout(3.9, narrow=True)

BOTTLENECK = "generator was the bottleneck"
"""Label of the grey spans of time."""

HIGHEST_IN = 300.0
"""The height of a figure, at most: a PNG holds no more than 65,535 rows."""

Plot = Callable[[Layout], Figure]


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks on every time axis: phases (`phase`, `from_s`, `to_s`), faults, the end of the warm-up.

    `faults` are spans in which a server was out of the proxy's rotation, `injected` in which a fault was
    injected, `invalid` in which the generator was the bottleneck.
    """

    phases: pd.DataFrame | None = None
    faults: pd.DataFrame | None = None
    injected: pd.DataFrame | None = None
    invalid: pd.DataFrame | None = None
    warm_up_s: float = 0.0


def canvas(layout: Layout, heights_in: tuple[float, ...]) -> tuple[Figure, list[Axes]]:
    """A figure with one panel per height; they share the x axis."""
    height_in = min(sum(heights_in), HIGHEST_IN)
    figure = Figure(figsize=(layout.width_in, height_in), layout="constrained")
    grid = figure.subplots(
        len(heights_in), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights_in}
    )
    return figure, list(grid[:, 0])


_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def svg(plot: Plot, layout: Layout, prefix: str) -> str:
    """Draw as SVG without a date, a version or a comment; ids begin with `prefix`."""
    with mpl.rc_context(dict(_RC)):  # type: ignore[arg-type]
        return _svg(plot(layout), prefix)


def svg_and_png(plot: Plot, layout: Layout, prefix: str) -> tuple[str, bytes]:
    """Draw once, as SVG (see `svg`) and as PNG, which has no date or version either."""
    with mpl.rc_context(dict(_RC)):  # type: ignore[arg-type]
        figure = plot(layout)
        vector = _svg(figure, prefix)
        figure.set_layout_engine("none")  # already laid out; doing it again takes a third of the time
        target = io.BytesIO()
        with _any_glyph():
            figure.savefig(target, format="png", metadata={"Software": None})
    return vector, target.getvalue()


@contextmanager
def _any_glyph() -> Iterator[None]:
    """A name may be written in letters that the font lacks: a box stands for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        yield


def _svg(figure: Figure, prefix: str) -> str:
    target = io.StringIO()
    with _any_glyph():
        figure.savefig(target, format="svg", metadata=_NO_METADATA)
    return _for_inlining(target.getvalue(), prefix)


def _without(text: str, start: str, end: str) -> str:
    first, *others = text.split(start)
    return first + "".join(other.partition(end)[2] for other in others)


def _for_inlining(text: str, prefix: str) -> str:
    """Only the svg element, with ids that are unique on a page that holds several."""
    text = _without(_without(text, "<!--", "-->"), "<metadata>", "</metadata>")
    text = text[text.index("<svg") :]
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    return re.sub(r"url\(#", f"url(#{prefix}-", text).replace("\n\n", "\n")


def seconds(value: float) -> str:
    """A duration as a person writes it: 850 µs, 12 ms, 1.5 s."""
    if not math.isfinite(value):
        return "–"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= 0.9995 * factor:
            return f"{_three(value / factor)} {unit}"
    return "0 s" if value == 0 else f"{_three(value * 1e6)} µs"


def _three(value: float) -> str:
    """A number with three significant digits, never in scientific notation."""
    digits = 2 - math.floor(math.log10(abs(value))) if value else 0
    text = f"{round(value, digits):.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def log_durations(axis: Axis) -> None:
    """Label a logarithmic axis of seconds with units."""
    axis.set_major_locator(LogLocator(base=10, subs=(1.0,), numticks=12))
    low, high = axis.get_view_interval()
    if low > 0 and math.log10(high / low) < 2.2:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0), numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: seconds(value)))
    axis.set_minor_formatter(NullFormatter())


def time_axis(axes: list[Axes], marks: Marks, end_s: float, layout: Layout) -> None:
    """Seconds since the start below the last panel, with phases, faults and warm-up marked."""
    end_s = max(end_s, 0.1)
    for panel in axes:
        panel.set_xlim(0, end_s)
        if marks.warm_up_s > 0:
            panel.axvspan(0, marks.warm_up_s, color=PALE, alpha=0.35, linewidth=0, zorder=0)
        for fault in _spans(marks.faults, end_s):
            panel.axvspan(fault["from_s"], fault["to_s"], color=RED, alpha=0.10, linewidth=0, zorder=0)
        for fault in _spans(marks.injected, end_s):
            panel.axvspan(
                fault["from_s"],
                fault["to_s"],
                facecolor="none",
                edgecolor=MUTED,
                hatch="///",
                alpha=0.45,
                linewidth=0,
                zorder=0,
            )
    _shade_invalid(axes, _spans(marks.invalid, end_s))
    room = (0.2 if layout.narrow else 0.1) * end_s
    if marks.warm_up_s > room:
        _above(axes[0], marks.warm_up_s / 2, "warm-up", end_s)
    for number, phase in enumerate(_rows(marks.phases)):
        from_s, to_s = max(phase["from_s"], marks.warm_up_s), phase["to_s"]
        for panel in axes if number else []:
            panel.axvline(phase["from_s"], color=MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
        if len(_rows(marks.phases)) > 1 and to_s - from_s > room:
            _above(axes[0], (from_s + to_s) / 2, str(phase["phase"]).replace("_", "-"), end_s)
    unit = "time since the first request (s)"
    if end_s > 5400:
        unit = "time since the first request (h)"
        axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / 3600:g}"))
    axes[-1].set_xlabel(unit)


def _shade_invalid(axes: list[Axes], spans: list[dict[Any, Any]]) -> None:
    """Grey spans with a legend below, and an edge: a second is visible even in a run of hours."""
    for panel in axes if spans else ():
        for span in spans:
            panel.axvspan(span["from_s"], span["to_s"], color=INK, alpha=0.22, linewidth=0.6, zorder=0)
    if spans:
        shown = Patch(color=INK, alpha=0.22, linewidth=0, label=BOTTLENECK)
        axes[0].figure.legend(handles=[shown], loc="outside lower right")


MOST_SPANS = 500
"""Spans of one kind on a time axis: more cannot be distinguished, and take minutes to draw."""


def _spans(table: pd.DataFrame | None, end_s: float) -> list[dict[Any, Any]]:
    """The spans of a table; if they are too many, those are joined that nearly touch."""
    if table is None or len(table) <= MOST_SPANS:
        return _rows(table)
    joined: list[dict[Any, Any]] = []
    for span in table.sort_values("from_s", kind="stable").to_dict("records"):
        if joined and span["from_s"] <= joined[-1]["to_s"] + end_s / MOST_SPANS:
            joined[-1]["to_s"] = max(joined[-1]["to_s"], span["to_s"])
        else:
            joined.append(dict(span))
    return joined


def _rows(table: pd.DataFrame | None) -> list[dict[Any, Any]]:
    return [] if table is None else table.to_dict("records")


def _above(panel: Axes, at_s: float, text: str, end_s: float) -> None:
    panel.annotate(
        text[:24],
        (at_s / end_s, 0.985),
        xycoords="axes fraction",
        ha="center",
        va="top",
        fontsize=7,
        color=MUTED,
        style="italic",
    )


def legend(panel: Axes, columns: int, layout: Layout) -> None:
    """A legend above the panel; at most two columns in a narrow layout."""
    panel.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=min(columns, 2) if layout.narrow else columns,
        borderaxespad=0.1,
        handlelength=2.2,
        columnspacing=1.4,
    )
