"""The evidence of gates U, from the run folder of an upgrade: nothing is sent."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import upgrade_file
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.upgrade_record import UpgradeRecord
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.upgrade.upgrade_trial import StepRequests, UpgradeTrial

EXAMPLES = 3
"""Failed requests that are named, for each step."""

TENTH_NS = 10**8

DROPPED = "dropped"
"""The error of an arrival that the load never sent."""

Row = Mapping[str, Any]


def upgrade_of(run: RunDir) -> UpgradeTrial:
    """Evidence of U1 to U4. Raises `EvidenceUnavailable` if the run is no upgrade, or is damaged."""
    try:
        record = upgrade_file.read(run)
        if record is None:
            raise EvidenceUnavailable(str(run.path), "is no upgrade: give a run of `calorimeter upgrade`")
        return _trial(run, record)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem


def _trial(run: RunDir, record: UpgradeRecord) -> UpgradeTrial:
    begun = [step for step in record.steps if step.began_ns]
    starts = [step.began_ns for step in begun]
    before = failed_before = 0
    counts = [[0, 0, 0] for _ in begun]
    examples: list[list[str]] = [[] for _ in begun]
    for row in _requests(run):
        at = bisect_right(starts, row["scheduled_ns"]) - 1
        if at < 0:
            before += row["n"]
            failed_before += row["n"] if row["error"] else 0
            continue
        counts[at][0] += row["n"]
        if not row["error"]:
            continue
        counts[at][1] += row["n"]
        promised_ns = int(begun[at].planned.may_fail_s * 1e9)
        if row["scheduled_ns"] - starts[at] > promised_ns or not promised_ns:
            counts[at][2] += row["n"]
            if len(examples[at]) < EXAMPLES:
                examples[at].append(_example(row, starts[at]))
    stacks = [*_stacks(run)]
    first_ns = starts[0] if starts else 0
    failed = [each for each in stacks if each["final_state"].endswith("_FAILED")]
    return UpgradeTrial(
        record=record,
        before=before,
        failed_before=failed_before,
        steps=tuple(
            StepRequests(
                step=step, requests=some[0], failed=some[1], unexcused=some[2], examples=tuple(texts)
            )
            for step, some, texts in zip(begun, counts, examples, strict=True)
        ),
        accepted=len(stacks),
        complete=sum(each["final_state"].endswith("_COMPLETE") for each in stacks),
        failed=len(failed),
        failed_stacks=tuple(
            f"{each['name']} became {each['final_state']}"
            for each in failed
            if each["accepted_ns"] >= first_ns
        ),
    )


def _example(row: Row, start_ns: int) -> str:
    answer = f"{row['error']} {row['status']}" if row["status"] else row["error"]
    after_s = (row["scheduled_ns"] - start_ns) / 1e9
    return f"{row['api']} {row['operation']} {after_s:.1f} s after its begin: {answer}"


def _requests(run: RunDir) -> Iterator[Row]:
    """Each request that was sent and failed, and the others counted by tenths of a second: `n` of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from calorimeter.core.recorded.recorded_tables import RecordedRows

    columns = ("scheduled_ns", "api", "operation", "status", "error")
    for batch in RecordedRows(run, "samples").batches(columns):
        error = batch["error"].cast("string")
        sent = batch.filter(pc.not_equal(error, DROPPED))
        error = sent["error"].cast("string")
        for row in sent.filter(pc.not_equal(error, "")).to_pylist():
            yield {**row, "n": 1}
        good = sent.filter(pc.equal(error, ""))["scheduled_ns"]
        table = pa.table({"tenth": pc.divide(good, TENTH_NS)})
        for row in table.group_by("tenth").aggregate([([], "count_all")]).to_pylist():
            yield {"scheduled_ns": row["tenth"] * TENTH_NS, "error": "", "n": row["count_all"]}


def _stacks(run: RunDir) -> Iterator[Row]:
    from calorimeter.core.recorded.recorded_tables import RecordedRows

    if run.parquet("ledger"):
        for batch in RecordedRows(run, "ledger").batches(("name", "accepted_ns", "final_state")):
            yield from batch.to_pylist()
