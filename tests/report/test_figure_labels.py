"""Names of foreign origin as labels of figures."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import pytest

from calorimeter.report import figure_labels
from calorimeter.report.figures import latency_figures, style


@dataclass(frozen=True, slots=True)
class Content:
    """Tables as a page holds them."""

    rows: tuple[pd.DataFrame, ...]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("rest-1", "rest-1"),
        ("a\x1b[0m\nb", r"a\u001b[0m b"),
        ("a" * 30 + "b" * 30, "a" * 20 + "…" + "b" * 19),
        (3.5, 3.5),
    ],
)
def test_a_label_is_one_short_line(name: object, label: object) -> None:
    """Control characters are shown, a long name lacks its middle, and numbers stay."""
    assert figure_labels.label(name) == label


def test_tables_of_a_page_are_drawn_with_labels() -> None:
    """Only text is changed, wherever in the content the table is, and the content itself stays."""
    content = Content((pd.DataFrame({"operation": ["x\n" * 40], "n": [1.5]}),))
    drawn = figure_labels.drawable(content).rows[0]
    assert len(drawn["operation"][0]) == 40
    assert drawn["n"][0] == 1.5
    assert content.rows[0]["operation"][0] == "x\n" * 40


@pytest.mark.slow
def test_a_hostile_name_is_drawn() -> None:
    """Formulas, markup and letters that the font lacks are drawn as outlines, without a warning."""
    name = "$\\frac{ <script>alert(1)</script> 東京 \U0001f600 ]]>" + "W" * 500
    values = {f"response_{percent}": [0.1, 0.2] for percent, _, _ in style.PERCENTILES}
    table = pd.DataFrame({"operation": [name, "list"], "n": [10, 10], **values})
    drawn = figure_labels.drawable(table)
    svg = style.svg(lambda layout: latency_figures.operations(drawn, layout), style.WIDE, "x")
    assert "<script" not in svg
    assert "<text" not in svg
