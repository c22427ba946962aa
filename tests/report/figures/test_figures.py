"""Figures, asserted by what they hold: points, bars, spans and labels, never pixels."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from calorimeter.report import figure_list, page_content
from calorimeter.report.figures import (
    gate_figures,
    latency_figures,
    load_curves,
    polled_figures,
    rate_figures,
    share_bars,
    style,
)
from calorimeter.report.figures.style import NARROW, WIDE, Marks
from calorimeter.report.tables.gate_evidence import FaultTrialRow


def points(panel: Axes, label: str) -> list[list[float]]:
    """The points of the scatter with a label."""
    (found,) = [each for each in panel.collections if each.get_label() == label]
    values: list[list[float]] = np.asarray(found.get_offsets()).tolist()
    return values


def line(panel: Axes, label: str) -> list[float]:
    """The y values of the line with a label."""
    (found,) = [each for each in panel.lines if each.get_label() == label]
    values: list[float] = np.asarray(found.get_ydata(), dtype=float).tolist()
    return values


def spans(panel: Axes) -> list[tuple[float, float]]:
    """From where to where each shaded stretch reaches."""
    found = [each.get_extents().transformed(panel.transData.inverted()) for each in panel.patches]
    return [(round(box.x0, 6), round(box.x1, 6)) for box in found]


WINDOWS = pd.DataFrame(
    {
        "offered": [10.0, 20.0, 40.0],
        "achieved": [10.0, 20.0, 30.0],
        "errors": [0.0, 0.0, 4.0],
        "dropped": [0.0, 0.0, 6.0],
        "p50": [0.02, 0.03, 0.5],
        "p90": [0.03, 0.05, 1.5],
        "p99": [np.nan, 0.1, 4.0],
    }
)


def test_achieved_stands_against_offered_with_errors_and_drops() -> None:
    """A point a window, errors and drops in a panel of their own."""
    upper, lower = load_curves.achieved(WINDOWS, WIDE).axes
    assert points(upper, "answered as expected") == [[10, 10], [20, 20], [40, 30]]
    assert points(lower, "errors") == [[10, 0], [20, 0], [40, 4]]
    assert points(lower, "dropped, never sent") == [[10, 0], [20, 0], [40, 6]]
    assert lower.get_xlabel() == "offered load (requests due / s)"


def test_percentiles_stand_against_load() -> None:
    """A percentile with too few samples has no point."""
    (panel,) = load_curves.latency(WINDOWS, WIDE).axes
    assert points(panel, "p50") == [[10, 0.02], [20, 0.03], [40, 0.5]]
    assert points(panel, "p99") == [[20, 0.1], [40, 4.0]]


def test_shares_have_their_prediction_and_its_band() -> None:
    """Bars as long as shares, a tick at the predicted share, a band from low to high."""
    table = pd.DataFrame(
        {
            "group": "rest",
            "name": ["rest-1", "rest-2"],
            "n": [60, 40],
            "share": [0.6, 0.4],
            "expected": [0.5, 0.5],
            "predicted": [0.58, 0.42],
            "low": [0.3, 0.3],
            "high": [0.7, 0.7],
        }
    )
    (panel,) = share_bars.bars(table, "share of connections", WIDE).axes
    measured, band = panel.containers
    assert [bar.get_width() for bar in measured] == [0.6, 0.4]
    reach = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in band]
    assert reach == [pytest.approx((0.3, 0.7))] * 2
    (ticks,) = panel.collections
    assert [segment[0][0] for segment in ticks.get_segments()] == [0.58, 0.42]  # type: ignore[attr-defined]


def test_phases_faults_and_warm_up_are_shaded() -> None:
    """The warm-up, what was out of the rotation and what was broken are spans on the time axis."""
    rates = pd.DataFrame({"t_s": np.arange(10) + 0.5, "offered": 5.0, "achieved": 5.0})
    marks = Marks(
        phases=pd.DataFrame({"phase": ["warm_up", "load"], "from_s": [0, 2], "to_s": [2, 10]}),
        faults=pd.DataFrame({"from_s": [5.0], "to_s": [7.0]}),
        injected=pd.DataFrame({"from_s": [4.0], "to_s": [6.0]}),
        warm_up_s=2.0,
    )
    figure = rate_figures.over_time(rates.assign(errors=0.0, dropped=0.0), marks, WIDE)
    shaded = spans(figure.axes[0])
    assert {(0.0, 2.0), (5.0, 7.0), (4.0, 6.0)} <= set(shaded)
    assert figure.axes[0].get_xlabel() == "time since the first request (s)"
    assert [text.get_text() for text in figure.axes[0].texts] == ["warm-up", "load"]


def test_seconds_of_a_busy_generator_are_shaded_with_a_legend() -> None:
    """Each panel has the stretch, the figure one legend that says what it is; without any there is none."""
    rates = pd.DataFrame({"t_s": np.arange(10) + 0.5, "offered": 5.0, "achieved": 4.0})
    rates = rates.assign(errors=1.0, dropped=0.0)
    marks = Marks(invalid=pd.DataFrame({"from_s": [2.0, 8.0], "to_s": [4.0, 9.0]}))
    figure = rate_figures.over_time(rates, marks, NARROW)
    for panel in figure.axes:
        assert {(2.0, 4.0), (8.0, 9.0)} <= set(spans(panel))
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["generator was the bottleneck"]
    plain = rate_figures.over_time(rates, Marks(invalid=marks.invalid.head(0)), NARROW)  # type: ignore[union-attr]
    assert plain.legends == []
    assert (2.0, 4.0) not in spans(plain.axes[0])


def test_the_curve_has_response_and_service_time() -> None:
    """Both lines are the table's columns, and each nine has the same room."""
    table = pd.DataFrame(
        {"percent": [50.0, 90.0, 99.0, 99.99], "response": [1, 2, 3, 4], "service": [1, 1, 2, 3]}
    )
    (panel,) = latency_figures.curve(table, WIDE).axes
    assert line(panel, "response time (from when it was due)") == [1, 2, 3, 4]
    assert line(panel, "service time (from when it was sent)") == [1, 1, 2, 3]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0", "50", "90", "99", "99.9", "99.99"]
    assert panel.get_xticks()[2:] == pytest.approx([1, 2, 3, 4])


def test_the_heat_map_holds_the_counts() -> None:
    """A cell a bin and level; empty cells are masked, not drawn as few."""
    cells = pd.DataFrame([[0, 3], [5, 0]], index=[0.01, 0.1], columns=[0.5, 1.5])
    figure = latency_figures.heat_map(cells, Marks(), WIDE)
    drawn = figure.axes[0].collections[0].get_array()
    assert drawn is not None
    assert np.ma.getmaskarray(drawn).tolist() == [[True, False], [False, True]]
    assert np.ma.filled(drawn, 0).tolist() == [[0, 3], [5, 0]]
    assert figure.axes[1].get_ylabel() == "requests in 1 s"


def test_a_fault_says_detection_and_recovery() -> None:
    """A trial's lanes hold its spans, its title how long detection and recovery took."""
    rows = [("rest-1", "fault", 2.0, 8.0), ("rest-1", "out", 4.0, 9.0), ("clients", "failed", 3.0, 3.5)]
    table = pd.DataFrame(rows, columns=["lane", "kind", "from_s", "to_s"])
    (panel,) = gate_figures.faults(
        [FaultTrialRow("H2", "kill", ("rest-1", "clients"), table, 12.0)], WIDE
    ).axes
    assert panel.get_title("left") == "H2: kill: detected after 2.0 s, back after 1.0 s"
    bars = [(bar.get_x(), bar.get_width()) for each in panel.containers for bar in each]
    assert bars == [(2.0, 6.0), (4.0, 5.0), (3.0, 0.5)]


def test_backlog_holds_queues_and_stacks() -> None:
    """A panel a queue and one for stacks in progress, named with what is counted."""
    queues = pd.DataFrame({"t_s": [0.0, 1.0], "name": "engine", "ready": [1, 2], "unacknowledged": [3, 0]})
    stacks = pd.DataFrame({"t_s": [1.0, 2.0], "in_progress": [4, 5]})
    upper, lower = polled_figures.backlog(queues, stacks, Marks(), 2.0, WIDE).axes
    assert line(upper, "ready or unacknowledged") == [4, 2]
    assert np.asarray(lower.lines[0].get_ydata()).tolist() == [4, 5]
    assert [panel.get_title("right") for panel in (upper, lower)] == [
        "queue engine, messages",
        "stacks in progress",
    ]


def test_busy_generators_are_drawn() -> None:
    """Each process's share of its core is a line, with the share from which it is the bottleneck."""
    lags = pd.DataFrame(
        {"t_s": [0.5, 1.5], "lag_p50": [0.001] * 2, "lag_p99": [0.01] * 2, "lag_max": [0.02] * 2}
    )
    workers = pd.DataFrame(
        {"t_s": [0.0, 1.0], "worker": "worker-00", "cpu_share": [0.4, 0.95], "lag_p99_s": 0.002}
    )
    *_, busy = rate_figures.generator(lags, pd.Series([1, 2]), workers, Marks(), WIDE).axes
    assert line(busy, "worker-00") == [0.4, 0.95]
    assert busy.get_ylabel() == "of one core"


def luminance(colour: str) -> float:
    """How light a colour is in grey, 0 to 1 (Rec. 709)."""
    return float(np.dot(to_rgb(colour), (0.2126, 0.7152, 0.0722)))


def test_lines_are_told_apart_without_colour() -> None:
    """Of the lines of a figure no two have the same dash; the heat map's colours darken steadily."""
    dashes = [repr(dash) for _, dash in style.SERIES]
    assert len(set(dashes)) == len(dashes)
    tones = [luminance(style.INTENSITY(step / 20)) for step in range(21)]  # type: ignore[arg-type]
    assert all(a > b for a, b in itertools.pairwise(tones))


@pytest.mark.slow
def test_axes_have_units(module_builder: Any) -> None:
    """The lowest panel of every figure says what its x axis is; every panel says what it shows."""
    for each in figure_list.of(page_content.collect(module_builder.run)):
        drawn: Figure = each.plot(NARROW)
        panels = [axes for axes in drawn.axes if not str(axes.get_label()).startswith("<colorbar")]
        assert panels[-1].get_xlabel(), each.name
        for panel in panels:
            names = [panel.get_ylabel(), panel.get_title("right"), panel.get_title("left")]
            ticks = [tick.get_text() for tick in panel.get_yticklabels()]
            named = any(text and not text[0].isdigit() for text in ticks)
            assert any(names) or named, each.name
