"""The docs of the gates: every gate has its place, and every link leads to a heading."""

from __future__ import annotations

import re

import pytest

from calorimeter.gates import gate_docs
from calorimeter.gates.gate_docs import DocsSection, gate_ids
from calorimeter.gates.registry import known
from tests.places import CLONE


@pytest.mark.parametrize("gate_id", [gate_id for gate_id in known() if gate_id[0] != "X"])
def test_every_gate_has_docs_with_an_anchor_that_exists(gate_id: str) -> None:
    """A red gate links to a heading of a page; `calorimeter gates` shows what stands there about it."""
    link = gate_docs.link(gate_id)
    assert link is not None
    page, _, anchor = link.partition("#")
    headings = re.findall(r"^#+ (.*)$", (CLONE / page).read_text(encoding="utf-8"), re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    assert anchors.count(anchor) == 1
    named, passages = gate_docs.about(gate_id)
    assert all(len(section.text.splitlines()) > 1 for section in named)
    assert named or passages


def test_gate_of_another_suite_has_no_docs() -> None:
    """Its author documents it elsewhere."""
    assert gate_docs.link("X1") is None


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("S1, S2: a source", {"S1", "S2"}),
        ("H6–H8", {"H6", "H7", "H8"}),
        ("E5 to E7 break engines", {"E5", "E6", "E7"}),
        ("Why a clean stop drops calls (E9)", {"E9"}),
        ("S10", {"S10"}),
        ("HTTP2 and UTF8", set()),
    ],
)
def test_ids_are_found_in_lists_and_ranges(text: str, ids: set[str]) -> None:
    """As headings and tables of the docs name gates."""
    assert gate_ids(text) == ids


def test_passages_are_rows_and_paragraphs_that_begin_with_the_gate() -> None:
    """A row comes with its columns; a later mention is not a passage, nor is a subsection."""
    text = """
| gate | breaks | why |
|---|---|---|
| E1 | nothing | a \\| b |
| E2, E3 | an engine | E1 |

- **First (E1).** It is
  one bullet.
- **Second (E2).** As E1.

**E1, once more.** A paragraph.

## Below
**E1 again.** Not here.
"""
    section = DocsSection("page.md", "The gates E1 to E3", 1, tuple(text.splitlines()))
    assert list(section.passages("E1")) == [
        "gate: E1\nbreaks: nothing\nwhy: a | b",
        "- **First (E1).** It is\n  one bullet.",
        "**E1, once more.** A paragraph.",
    ]
    assert section.link == "page.md#the-gates-e1-to-e3"
