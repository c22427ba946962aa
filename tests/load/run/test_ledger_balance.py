"""The ledger of a run against its samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.run.ledger_balance import balance, balance_of_run


def create(request_id: str, status: int = 201, error: str = "") -> dict[str, Any]:
    """A sample of a create."""
    row = {"api": "rest", "operation": "create", "status": status, "error": error}
    return {**row, "request_id": request_id}


def entry(request_id: str, **other: Any) -> dict[str, Any]:
    """A row of the ledger that is complete and gone."""
    row = {"stack_id": f"id-{request_id}", "name": f"stack-{request_id}", "request_id": request_id}
    times = {"accepted_ns": 1, "final_ns": 2, "deleted_ns": 3, "final_state": "CREATE_COMPLETE"}
    return {**row, **times, **other}


def test_a_ledger_that_balances() -> None:
    """Each accepted create has its row; refusals and unknown outcomes are counted, as are others."""
    other = {"api": "rest", "operation": "list", "status": 200, "error": "", "request_id": "x"}
    samples = [create("a"), create("b"), create("c", 409, "status"), create("d", 0, "timeout"), other]
    found = balance(samples, [entry("a"), entry("b", final_state="CREATE_FAILED")])
    assert found.findings == ()
    assert (found.requests, found.errors, found.creates) == (5, 2, 4)
    assert (found.accepted, found.refused, found.unknown) == (2, 1, 1)
    assert (found.complete, found.failed, found.gone) == (1, 1, 2)


@pytest.mark.parametrize(
    ("samples", "ledger", "finding"),
    [
        ([create("a")], [], "a was accepted and has no row"),
        ([], [entry("a")], "a has a row and was never accepted"),
        ([create("a")], [entry("a", final_state="")], "stack-a was never seen in a final state"),
        ([create("a")], [entry("a", deleted_ns=0)], "stack-a was never seen gone"),
        ([create("a"), create("a")], [entry("a")], "2 creates were accepted under 1 request ids"),
        ([create("a")], [entry("a"), entry("a")], "stack id-a has 2 rows"),
    ],
)
def test_what_does_not_balance_is_named(
    samples: list[dict[str, Any]], ledger: list[dict[str, Any]], finding: str
) -> None:
    """A lost row, an unexpected row, a stack without an end or a delete, and a duplicate are findings."""
    assert balance(samples, ledger).findings == (finding,)


def test_run_without_samples_does_not_balance(tmp_path: Path) -> None:
    """Nothing was compared: that is unusable input, as is a damaged file."""
    (tmp_path / "run.json").write_text('{"id": "r"}')
    with pytest.raises(InputError, match="holds no samples"):
        balance_of_run(RunDir(tmp_path))
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples/worker-00.parquet").write_bytes(bytes(100))
    with pytest.raises(InputError, match=r"worker-00\.parquet: is truncated or not a Parquet file"):
        balance_of_run(RunDir(tmp_path))
