"""The latency budget on a page: figure, tables, the slowest requests, and one line without it."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from calorimeter.core.recorded.latency_budget import LatencyBudget
from calorimeter.report import budget_text, page, page_content
from calorimeter.report.figures import budget_figures
from calorimeter.report.figures.style import NARROW, WIDE
from calorimeter.report.tables.request_budget import (
    REQUEST_LABELS,
    STACK_LABELS,
    BudgetTables,
    budget_tables,
)
from tests.report.budget_record import cohort, record


def tables(**more: Any) -> BudgetTables:
    """The tables of the record."""
    return budget_tables(LatencyBudget.model_validate_json(json.dumps(record(**more))))


def test_the_page_shows_where_the_time_went(builder: Any) -> None:
    """Sentences, both figures, three tables, the slowest requests with their ways; CSV files of all."""
    files = page.files(page_content.collect(builder.samples(seed=1).evidence("budget", record()).run))
    text = files["report.md"].decode()
    for expected in (
        "## Where the time goes",
        "The broker was traced in 2 windows (10.0 to 12.0 s, 20.0 to 22.0 s after the first request)",
        "100 of the 1,000 requests of the measured part (10.0%) were sent while tracing was on.",
        "2 had not ended when it was switched off, and 1 were not answered as expected",
        "Of 98 answered requests 97 (98.98%) were followed to their engines (a publish is missing in 1).",
        "The segments of 96 (97.96%) fit the response time within 1 % or 2 ms",
        "Of 30 actions on stacks 20 were seen from the acceptance to the end.",
        "Too few for a median (20 are needed): rest create.",
        "| cohort | n | mean time | generator | API before RPC, with Keystone | engine | by engine |",
        "| rest list | p50 | 4 of 89 | 100 ms | 1 ms | 9 ms | 90 ms | engine-2 65 ms, engine-1 25 ms |",
        "| rest create | p50 | 4 of 20 | 1 s | 200 ms | 100 ms | 700 ms |  | 3.0 | 2.5 | 400 ms |",
        "engine \\[engine-1 list\\_stacks\\] 500 ms (the times of its evidence contradict one another)",
        "Latency budget: window 3 of 3 was not taken: the load had ended.",
    ):
        assert expected in text
    assert {"figures/budget.svg", "figures/budget.png", "figures/stack-budget.svg"} <= set(files)
    assert files["tables/budget.csv"].decode().splitlines()[:2] == [
        "operation,requests,cohort,n,from_s,to_s,mean_s," + ",".join(REQUEST_LABELS),
        "rest list,89,p50,4,0.09,0.11,0.1,0.001,0,0.009,0,0,0.09,0,0,0,0",
    ]
    assert "rest list,p50,engine-1,0.025" in files["tables/budget-engines.csv"].decode().splitlines()
    assert (
        "1,rest list,req-7,12,0.6,False,engine,engine-1,list_stacks,0.5"
        in files["tables/slowest.csv"].decode().splitlines()
    )
    assert b'id="table-slowest"' in files["index.html"]
    summary = json.loads(files["summary.json"])["latency_budget"]
    assert summary["seen"] == record()["seen"] and summary["slowest"] == record()["slowest"]


def test_a_page_without_a_budget_has_one_line(builder: Any) -> None:
    """The line names the command that makes one."""
    files = page.files(page_content.collect(builder.samples(seed=1).run))
    text = files["report.md"].decode()
    assert "Not drawn: Latency budget, because the run holds no budget of traced requests (" in text
    assert "run --trace-windows 5x2s" in text
    assert sum("budget" in line.lower() for line in text.splitlines()) == 1
    assert not any("budget" in name for name in files)


def test_a_damaged_budget_is_left_out(builder: Any) -> None:
    """And named in the limits."""
    run = builder.samples(seed=1).evidence("budget", {**record(), "seen": None}).run
    found = page_content.collect(run)
    assert found.budget is None
    assert [gap for gap in found.gaps if gap.startswith("evidence/budget.json was left out: it is damaged")]


def test_a_budget_of_rare_operations_says_so(builder: Any) -> None:
    """No figure without a cohort."""
    rare = record(operations=[{"operation": "rest list", "n": 3, "cohorts": []}], stacks=[])
    files = page.files(page_content.collect(builder.samples(seed=1).evidence("budget", rare).run))
    text = files["report.md"].decode()
    assert "Latency budget, because fewer than 20 requests of each operation were traced." in text
    assert "fewer than 20 stacks were traced from acceptance to end" in text


@pytest.mark.parametrize("layout", [WIDE, NARROW])
def test_the_bars_are_the_segments_in_order(layout: Any) -> None:
    """Each bar begins where the one before ended; the last ends at the mean time."""
    found = tables()
    figure = budget_figures.segments(found.requests, REQUEST_LABELS, layout)
    (panel,) = figure.axes
    bars = [(round(bar.get_x(), 9), round(bar.get_width(), 9)) for bar in panel.patches]
    assert bars == [
        (0.0, 0.001), (0.001, 0.009), (0.01, 0.09), (0.0, 0.001), (0.001, 0.009), (0.01, 0.49),
    ]  # fmt: skip
    assert [tick.get_text() for tick in panel.get_yticklabels()] == ["p50", "p95"]
    assert panel.get_title(loc="left") == "rest list"
    texts = {text.get_text() for text in panel.texts}
    assert {"490 ms", "  100 ms  (n 4)", "  500 ms  (n 4)"} <= texts
    assert ("90 ms" in texts) is not layout.narrow
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "generator", "API before RPC, with Keystone", "engine",
    ]  # fmt: skip


def test_every_segment_has_a_look_and_neighbours_differ_without_colour() -> None:
    """By how light they are, or by a hatch."""
    weights = np.array([0.299, 0.587, 0.114])
    for labels in (REQUEST_LABELS, STACK_LABELS):
        looks = [budget_figures.LOOKS[name] for name in labels]
        assert len(set(looks)) == len(looks)
        for (one, hatch), (other, next_hatch) in itertools.pairwise(looks):
            grey = abs(float(np.dot(weights, to_rgb(one))) - float(np.dot(weights, to_rgb(other))))
            assert grey > 0.1 or hatch != next_hatch


def test_operations_with_most_time_are_drawn() -> None:
    """Of very many; `all` comes first."""
    many = [{"operation": f"rest o{n}", "n": 100 + n, "cohorts": [cohort("p50", 0.1)]} for n in range(30)]
    every = {"operation": "all", "n": 5000, "cohorts": [cohort("p50", 0.1)]}
    names = budget_figures.drawn_operations(tables(operations=[*many, every]).requests)
    assert names == ["all", *(f"rest o{n}" for n in range(29, 18, -1))]


def test_a_way_names_no_step_that_took_no_time() -> None:
    """The generator's part of the request is left out; the heading is the first row."""
    words = budget_text.budget(tables())
    assert words.slowest == (
        ("", "operation", "time", "due at", "way", "request id"),
        ("1", "rest list", "600 ms", "12.0 s",
         "API before RPC, with Keystone [heat-api[10]@h] 100 ms → engine [engine-1 list_stacks] 500 ms "
         "(the times of its evidence contradict one another)",
         "req-7"),
    )  # fmt: skip
