"""How long stacks took, and what a run says of the search that it was the end of."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.measured_part import Span
from calorimeter.report import capacity_result, page, page_content, page_text
from calorimeter.report.tables.stack_durations import UNSEEN, stack_durations

SECOND = 1_000_000_000
PART = Span(10 * SECOND, 20 * SECOND)


def rows(operation: str, state: str, *times_s: tuple[float, float]) -> pd.DataFrame:
    """Actions of the REST API: when they were accepted, and when their end was seen (0: never)."""
    return pd.DataFrame(
        {
            "api": "rest",
            "operation": operation,
            "final_state": state,
            "accepted_ns": [int(accepted * SECOND) for accepted, _ in times_s],
            "final_ns": [int(final * SECOND) for _, final in times_s],
        }
    )


def ledger(state: str, *times_s: tuple[float, float]) -> pd.DataFrame:
    """Stacks of the REST API, in the same form."""
    return rows("", state, *times_s).drop(columns="operation")


def test_an_end_counts_from_its_acceptance() -> None:
    """Twenty stacks that took 1 to 20 s: the median is exact, a p90 of so few is not shown."""
    found = stack_durations(
        ledger("CREATE_COMPLETE", *((12.0, 12.0 + n) for n in range(1, 21))), None, PART
    )
    assert found[["operation", "ended", "n", "p50", "longest"]].to_numpy().tolist() == [
        ["rest create", "CREATE_COMPLETE", 20, 10.5, 20.0]
    ]
    assert found["p90"].isna().all()


def test_each_end_has_a_row_of_its_own() -> None:
    """Complete, failed and never seen are separate rows; an end that was never seen has no time."""
    stacks = pd.concat(
        [ledger("CREATE_COMPLETE", (11, 12)), ledger("", (11, 0)), ledger("ADOPT_FAILED", (11, 13))]
    )
    found = stack_durations(stacks, rows("update", "UPDATE_FAILED", (12, 19)), PART)
    assert found[["operation", "ended", "n"]].to_numpy().tolist() == [
        ["rest adopt", "ADOPT_FAILED", 1],
        ["rest create", UNSEEN, 1],
        ["rest create", "CREATE_COMPLETE", 1],
        ["rest update", "UPDATE_FAILED", 1],
    ]
    assert found["longest"].tolist() == pytest.approx([2.0, float("nan"), 1.0, 7.0], nan_ok=True)


def test_a_create_is_called_as_its_api_calls_it() -> None:
    """The table's operations are those of the samples."""
    stacks = ledger("CREATE_COMPLETE", (11, 12)).assign(api="cfn")
    assert stack_durations(stacks, None, PART)["operation"].tolist() == ["cfn CreateStack"]


def test_only_what_was_accepted_in_the_measured_part_counts() -> None:
    """The warm-up's stacks are excluded, as its requests are; an end may lie behind the part."""
    found = stack_durations(ledger("CREATE_COMPLETE", (9.9, 12), (19.9, 25), (20.1, 21)), None, PART)
    assert found["n"].tolist() == [1]


def test_without_stacks_there_is_no_table() -> None:
    """A load that makes no stacks has no such table, in no format."""
    assert stack_durations(None, None, PART).empty
    assert stack_durations(ledger("CREATE_COMPLETE", (1, 2)), None, PART).empty


def searched(builder: Any, **changed: Any) -> page_content.PageContent:
    """A run that was held at the end of a search for the capacity."""
    builder.about().samples()
    kept = {"schema_version": 1, "unit": "arrivals/s", "capacity": 45.5, "broken": 50.0, "confirmed": True,
            "limit": "all p95 is 812 ms", "hold_s": 20.0, "levels": []}  # fmt: skip
    (builder.path / "capacity.json").write_text(json.dumps(kept | changed))
    return page_content.collect(builder.run)


def test_the_page_of_a_held_run_says_the_capacity(builder: Any) -> None:
    """Verdict and capacity stand first: what was found, for how long it was held, what broke above."""
    found = searched(builder)
    assert page_text.capacity(found).endswith(
        "a capacity of 45.5 arrivals/s, which was held in this run; at 50: all p95 is 812 ms."
    )
    assert b"a capacity of 45.5 arrivals/s" in page.words(found, [])["index.html"]


def test_a_capacity_that_was_not_confirmed_is_called_so(builder: Any) -> None:
    """A level that broke when it was held is no promise."""
    assert "which was not confirmed" in page_text.capacity(searched(builder, confirmed=False))


def test_a_damaged_capacity_is_one_line(builder: Any) -> None:
    """A file that is none is refused with its name."""
    with pytest.raises(InputError, match=r"capacity\.json: is damaged"):
        searched(builder, capacity="many")
    assert capacity_result.read(builder.path / "nowhere") is None
