"""The meaning of answers: the table of the code, and its pages."""

from __future__ import annotations

import pytest

from calorimeter.core.recorded.samples import ERRORS
from calorimeter.load.http import answers
from calorimeter.load.http.client import Answer
from tests.load import reference_tables
from tests.places import DOCS


def answer(status: int = 0, error: str = "") -> Answer:
    """An answer of this kind."""
    made = Answer()
    made.status, made.error = status, error
    return made


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (0, "connect", "refused"),
        (0, "dropped", "refused"),
        (0, "timeout", "unknown"),
        (0, "closed", "unknown"),
        (0, "protocol", "unknown"),
        (201, "body", "unknown"),
        (201, "", "accepted"),
        (300, "", "accepted"),
        (302, "status", "accepted"),
        (400, "status", "refused"),
        (403, "status", "refused"),
        (404, "status", "refused"),
        (409, "status", "refused"),
        (500, "status", "unknown"),
        (503, "status", "unknown"),
        (504, "status", "unknown"),
        (799, "status", "unknown"),
    ],
)
def test_outcome_of_an_answer(status: int, error: str, outcome: str) -> None:
    """A quota or a conflict is a refusal; a timeout, a cut connection and a 5xx are unknown."""
    assert answers.meaning(answer(status, error)).outcome == outcome


def test_every_error_of_a_sample_has_a_meaning() -> None:
    """Each error but `status`, which is judged by its status, is a row; so is each class of statuses."""
    rows = [row.answer for row in answers.MEANINGS]
    assert set(ERRORS) - {"status"} <= set(rows)
    assert len(set(rows)) == len(rows)


def test_page_of_answers_is_the_table() -> None:
    """docs/reference/answers.md holds exactly the rows of the code."""
    assert reference_tables.answers() in (DOCS / "reference/answers.md").read_text()


@pytest.mark.parametrize("api", ["rest", "cfn"])
def test_page_of_operations_is_the_registry(api: str) -> None:
    """docs/reference/operations.md holds exactly the operations of the code."""
    assert reference_tables.operations(api) in (DOCS / "reference/operations.md").read_text()
