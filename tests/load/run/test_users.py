"""Users in Locust, against a small server in the same process."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.load.programs import result_of

pytestmark = pytest.mark.slow


def stopped_after(patience_s: float) -> tuple[int, list[str], int]:
    """Requests served, errors of the samples, and requests counted by Locust, of a load that is stopped."""
    result = result_of("stopped_load", str(patience_s))
    return result["served"], result["errors"], result["counted"]


def test_stopping_loses_no_request() -> None:
    """Requests in flight when the load stops are awaited: as many are served, recorded and counted."""
    served, errors, counted = stopped_after(10)
    assert served == counted == len(errors) > 30
    assert set(errors) == {""}


def test_stacks_in_progress_are_counted() -> None:
    """From acceptance to a final state, or to removal before it; one that is late stays in progress."""
    assert result_of("counted_stacks") == [3, 2, 2, 1, 0, 0]


def test_requests_that_locust_kills_are_recorded_as_unknown() -> None:
    """If Locust does not wait, requests that were sent are still recorded, as timeouts."""
    served, errors, counted = stopped_after(0.001)
    assert served == counted == len(errors)
    assert set(errors) == {"", "timeout"}


def test_open_arrivals_are_all_accounted_for() -> None:
    """Samples, Locust's statistics and the windows agree on what was sent and what was dropped."""
    result = result_of("open_load")
    rows = result["rows"]
    sent = [row for row in rows if not row["error"]]
    dropped = [row for row in rows if row["error"] == "dropped"]
    assert len(rows) == len(sent) + len(dropped) == result["offered"] == result["counted"] > 100
    assert len(sent) == result["served"]
    assert len(dropped) == result["dropped"] == result["failures"] > 50  # 5 users can do 50 a second
    gaps = {b["scheduled_ns"] - a["scheduled_ns"] for a, b in pairwise(rows)}
    assert gaps == {10_000_000}
    assert {row["user"] for row in sent} == set(range(5))
    assert {(row["user"], row["source"], row["first_byte_ns"]) for row in dropped} == {(-1, "", 0)}
    assert all(row["scheduled_ns"] <= row["sent_ns"] <= row["first_byte_ns"] for row in sent)
    took = sorted((row["done_ns"] - row["scheduled_ns"]) / 1e9 for row in sent)
    assert result["slowest_ms"] / 1e3 == pytest.approx(took[-1], rel=0.01)
    middle = (len(took) - 1) // 2  # where they lie far apart, the median is anywhere between two of them
    assert took[middle - 1] * 0.99 <= result["median_s"] <= took[middle + 1] * 1.01
    windows = result["windows"]
    assert sum(window["connections"] for window in windows) <= 5
    assert sum(window["dropped"] for window in windows) <= len(dropped)
    assert any(window["dropped"] for window in windows)


def test_hostile_bodies_are_samples() -> None:
    """As many samples as requests were served, each with the error `body` or none; no user ends."""
    result = result_of("hostile_load")
    errors = result["errors"]
    assert result["served"] == result["counted"] == len(errors) >= 500
    assert set(errors) == {"", "body"}
    assert errors.count("body") > errors.count("")
    assert result["operations"] == sorted(
        ("config-create", "create", "list", "list-filtered", "list-pages", "validate")
    )
    assert (result["crashes"], result["request_ids"]) == (0, [""])
    assert result["unaccounted"] >= result["creates"] > 0  # the end of the run searches for their names


def test_a_user_killed_while_it_cleans_up_leaves_its_rows() -> None:
    """Stacks that it could not remove are in the ledger, and the end of the run searches for them."""
    assert result_of("killed_user") == {"rows": ["a", "b"], "lost": ["a", "b", "c"]}
