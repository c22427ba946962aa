"""Checks that a run's ledger balances: every accepted create has one row, one final state, one delete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.http import answers

CREATES = {("rest", "create"), ("rest", "adopt"), ("cfn", "CreateStack")}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LedgerBalance:
    """Counts of a run's samples and ledger; `findings` is empty if they balance.

    `unknown` counts creates whose answer does not show whether they were accepted. They may have created a
    stack without a row, for which the end of the run has searched.
    """

    requests: int
    errors: int
    creates: int
    accepted: int
    refused: int
    unknown: int
    complete: int
    failed: int
    gone: int
    findings: tuple[str, ...]


def balance(samples: Iterable[Row], ledger: Iterable[Row]) -> LedgerBalance:
    """Compare samples (`api`, `operation`, `status`, `error`, `request_id`) with the rows of the ledger.

    A sample that is no create may stand for `n` with the same `error`.
    """
    requests = errors = 0
    outcomes: Counter[str] = Counter()
    accepted: set[str] = set()
    for sample in samples:
        requests += sample.get("n", 1)
        errors += sample.get("n", 1) if sample["error"] else 0
        if (sample["api"], sample["operation"]) in CREATES:
            outcome = answers.meaning_of(sample["status"], sample["error"]).outcome
            outcomes[outcome] += 1
            if outcome == "accepted":
                accepted.add(sample["request_id"])
    rows = list(ledger)
    states = Counter(row["final_state"].rpartition("_")[2] for row in rows)
    return LedgerBalance(
        requests=requests,
        errors=errors,
        creates=sum(outcomes.values()),
        accepted=outcomes["accepted"],
        refused=outcomes["refused"],
        unknown=outcomes["unknown"],
        complete=states["COMPLETE"],
        failed=states["FAILED"],
        gone=sum(row["deleted_ns"] > 0 for row in rows),
        findings=tuple(_findings(accepted, outcomes["accepted"], rows)),
    )


def _findings(accepted: set[str], accepted_count: int, rows: list[Row]) -> Iterator[str]:
    if len(accepted) != accepted_count:
        yield f"{accepted_count} creates were accepted under {len(accepted)} request ids"
    ids = Counter(row["stack_id"] for row in rows)
    yield from (f"stack {stack_id} has {count} rows" for stack_id, count in ids.items() if count > 1)
    entered = {row["request_id"] for row in rows}
    yield from (f"{request} was accepted and has no row" for request in sorted(accepted - entered))
    yield from (f"{request} has a row and was never accepted" for request in sorted(entered - accepted))
    for row in rows:
        if not row["final_state"]:
            yield f"{row['name']} was never seen in a final state"
        elif not row["accepted_ns"] <= row["final_ns"]:
            yield f"{row['name']} ended before it was accepted"
        if not row["deleted_ns"]:
            yield f"{row['name']} was never seen gone"


def balance_of_run(run: RunDir) -> LedgerBalance:
    """Compare the samples and the ledger of a run folder. Raises InputError if they cannot be read."""
    if not run.parquet("samples"):
        raise InputError(str(run.path), "holds no samples", "valid: a folder that `calorimeter run` wrote")
    return balance(_samples(run), _ledger(run))


def _ledger(run: RunDir) -> Iterator[Row]:
    from calorimeter.core.recorded.recorded_tables import RecordedRows

    columns = ("stack_id", "name", "request_id", "accepted_ns", "final_ns", "final_state", "deleted_ns")
    for batch in RecordedRows(run, "ledger").batches(columns):
        yield from batch.to_pylist()


def _samples(run: RunDir) -> Iterator[Row]:
    """Each create as a row; the others of a batch as two: those that succeeded, and those that failed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from calorimeter.core.recorded.recorded_tables import RecordedRows

    columns = ("api", "operation", "status", "error", "request_id")
    names = [operation for _, operation in CREATES]
    for batch in RecordedRows(run, "samples").batches(columns):
        creates = pc.is_in(batch["operation"].cast("string"), pa.array(names))
        yield from batch.filter(creates).to_pylist()
        others = batch.filter(pc.invert(creates))["error"].cast("string")
        failed = pc.sum(pc.not_equal(others, "")).as_py() or 0
        for error, n in (("", len(others) - failed), ("failed", failed)):
            yield {"api": "", "operation": "", "error": error, "n": n}
