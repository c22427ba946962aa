"""The budget of a run folder, from its samples, its ledger and the recording of its trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import latency_budget
from calorimeter.core.recorded.latency_budget import LatencyBudget, TraceWindow
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import LEDGER, SAMPLE
from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path import budget
from calorimeter.gates.request_path.recording import PathEvidence
from tests.gates.request_path.test_path import event, line
from tests.report.run_builder import Builder

MS = 1_000_000
T0 = 1_700_000_000_000 * MS

PROCESSES = {
    "api": BrokerProcess(role="heat-api", pid=10, host="10.0.0.2"),
    "e1": BrokerProcess(role="heat-engine", pid=21, host="10.0.0.3"),
    "e2": BrokerProcess(role="heat-engine", pid=22, host="10.0.0.3"),
}
HOSTS = {"heat-engine[21]@10.0.0.3": "engine-1", "heat-engine[22]@10.0.0.3": "engine-2"}


def sample(number: int, at_ms: int, took_ms: int = 50, **more: Any) -> dict[str, Any]:
    """A request that was due at `at_ms` and sent 1 ms later."""
    return {
        "scheduled_ns": T0 + at_ms * MS, "sent_ns": T0 + (at_ms + 1) * MS,
        "first_byte_ns": T0 + (at_ms + took_ms) * MS, "done_ns": T0 + (at_ms + took_ms) * MS, "api": "rest",
        "operation": "list", "status": 200, "error": "", "source": "127.0.0.10", "source_port": 40000,
        "request_id": f"req-{number}", "user": 1, "phase": "load", **more,
    }  # fmt: skip


def call(number: int, at_ms: int, engine: str, took_ms: int) -> list[Any]:
    """The events of one call."""
    about = {"request_id": f"req-{number}", "msg_id": f"m{number}", "method": "list_stacks"}
    reply = {"request_id": None, "msg_id": f"m{number}", "reply": True, "method": None}
    return [
        event("publish", "api", f"u{number}", at_ms=at_ms, **about),
        event("deliver", engine, f"u{number}", at_ms=at_ms + 2, **about),
        event("publish", engine, f"r{number}", "", at_ms=at_ms + 2 + took_ms, **reply),
    ]


def recording(*events: Any, windows: tuple[TraceWindow, ...] = (), **more: Any) -> PathEvidence:
    """A recording with these events, and one connection that is open all the time."""
    return PathEvidence(
        events=tuple(events), connections=(line(total_ms=1_000_000),), processes=PROCESSES, hosts=HOSTS,
        doubts=more.get("doubts", ()), windows=windows,
    )  # fmt: skip


def run_of(path: Path, *samples: dict[str, Any], ledger: tuple[dict[str, Any], ...] = ()) -> RunDir:
    """A run folder with these samples."""
    run = Builder(path / "20260102T030405Z-x-ab12").about().run
    pq.write_table(pa.Table.from_pylist([*samples], schema=SAMPLE), run.path / "samples" / "w0-0.parquet")
    if ledger:
        pq.write_table(pa.Table.from_pylist([*ledger], schema=LEDGER), run.path / "ledger" / "w0-0.parquet")
    return run


def made(run: RunDir, kept: PathEvidence) -> LatencyBudget:
    """The budget, as it is kept and read again."""
    assert budget.keep(run, kept) == latency_budget.read(run)
    found = latency_budget.read(run)
    assert found is not None
    return found


def test_twenty_requests_of_two_engines(tmp_path: Path) -> None:
    """Golden: each waits 1 ms in the generator, 9 in the API, 2 in the broker, then in its engine."""
    samples = [sample(n, 100 * n, took_ms=50 + n) for n in range(20)]
    events = [e for n in range(20) for e in call(n, 100 * n + 10, "e1" if n < 10 else "e2", 30 + n)]
    found = made(run_of(tmp_path, *samples), recording(*events, doubts=("one",)))
    assert found.seen.model_dump() == {
        "due": 20, "traced": 20, "unfinished": 0, "failed": 0, "answered": 20, "followed": 20,
        "added_up": 20, "missing": {}, "stacks_due": 0, "stacks": 0,
    }  # fmt: skip
    assert (found.start_ns, found.windows, found.doubts) == (T0, (), ("one",))
    (listed,) = found.operations
    median, slow = listed.cohorts
    assert (listed.operation, listed.n, median.name, median.n) == ("rest list", 20, "p50", 2)
    assert median.segments == {
        "generator": 0.001, "proxy": 0.0, "api_before": 0.009, "broker": 0.002,
        "engine": pytest.approx(0.0395), "api_after": 0.008, "way_back": 0.0,
    }  # fmt: skip
    assert median.engines == {"engine-1": pytest.approx(0.0195), "engine-2": pytest.approx(0.02)}
    assert (slow.name, slow.engines) == ("slowest tenth", {"engine-2": pytest.approx(0.0485)})
    assert [one.request_id for one in found.slowest] == [f"req-{n}" for n in range(19, 9, -1)]
    assert [(step.segment, step.who) for step in found.slowest[0].steps] == [
        ("generator", ""), ("proxy", "rest-1"), ("api_before", "heat-api[10]@10.0.0.2"),
        ("broker", "engine"), ("engine", "engine-2"), ("api_after", "heat-api[10]@10.0.0.2"),
        ("way_back", "rest-1"),
    ]  # fmt: skip


def test_only_requests_that_were_sent_in_a_window_and_ended_before_it_was_over_count(
    tmp_path: Path,
) -> None:
    """The others are counted, and where they end is said."""
    window = TraceWindow(from_ns=T0 + 1000 * MS, to_ns=T0 + 2000 * MS, off_ns=T0 + 2500 * MS)
    samples = (
        sample(1, 500, took_ms=1000),
        sample(2, 998, took_ms=50),
        sample(3, 1000),
        sample(4, 1999, took_ms=500),
        sample(5, 1999, took_ms=700),
        sample(6, 2000),
        sample(7, 1500, error="status", status=500),
        sample(8, 1500, error="dropped", status=0),
    )
    events = [*call(3, 1010, "e1", 20), *call(4, 2020, "e1", 20)]
    found = made(run_of(tmp_path, *samples), recording(*events, windows=(window,)))
    assert found.seen.model_dump() == {
        "due": 8, "traced": 4, "unfinished": 1, "failed": 1, "answered": 3, "followed": 3, "added_up": 3,
        "missing": {}, "stacks_due": 0, "stacks": 0,
    }  # fmt: skip
    assert {one.request_id for one in found.slowest} == {"req-3", "req-4"}
    assert found.windows == (window,)


def test_a_request_whose_times_contradict_one_another_is_in_no_cohort(tmp_path: Path) -> None:
    """It is counted, and among the slowest it is marked."""
    samples = [sample(n, 100 * n, took_ms=51 if n == 3 else 50) for n in range(21)]
    events = [e for n in range(21) for e in call(n, 100 * n + 10, "e1", 60 if n == 3 else 30)]
    found = made(run_of(tmp_path, *samples), recording(*events))
    assert (found.seen.answered, found.seen.followed, found.seen.added_up) == (21, 21, 20)
    assert [each.n for each in found.operations] == [20]
    assert [one.request_id for one in found.slowest if not one.adds_up] == ["req-3"]


def test_stacks_are_followed_from_the_acceptance_to_the_end(tmp_path: Path) -> None:
    """From the ledger and the messages of convergence; one that never ended has no way."""

    def stack(number: int, final_state: str = "CREATE_COMPLETE") -> dict[str, Any]:
        at = T0 + number * 1000 * MS
        return {
            "stack_id": f"s{number}", "name": f"s{number}", "api": "rest", "request_id": f"req-{number}",
            "accepted_ns": at, "final_ns": at + 500 * MS if final_state else 0, "final_state": final_state,
            "deleted_ns": 0, "user": 1,
        }  # fmt: skip

    events = [
        e
        for n in range(20)
        for kind, on, at in (("publish", "e1", 100), ("deliver", "e2", 110))
        for e in [event(kind, on, f"w{n}", "engine_worker", at_ms=n * 1000 + at, request_id=f"req-{n}")]
    ]
    run = run_of(
        tmp_path,
        *(sample(n, n * 1000) for n in range(22)),
        ledger=(*(stack(n) for n in range(20)), stack(20, "")),
    )
    found = made(run, recording(*events))
    assert (found.seen.stacks_due, found.seen.stacks) == (21, 20)
    (created,) = found.stacks
    assert (created.operation, created.n) == ("rest create", 20)
    assert created.cohorts[0].segments == {
        "start": pytest.approx(0.1), "broker": pytest.approx(0.01), "engine": 0.0, "between": 0.0,
        "end": pytest.approx(0.39),
    }  # fmt: skip


def test_a_run_without_samples_has_no_budget(tmp_path: Path) -> None:
    """Nothing is written."""
    run = Builder(tmp_path / "20260102T030405Z-x-ab12").about().run
    assert budget.keep(run, recording()) is None
    assert latency_budget.read(run) is None


def test_a_damaged_budget_is_one_line(tmp_path: Path) -> None:
    """Not a traceback."""
    run = Builder(tmp_path / "20260102T030405Z-x-ab12").about().evidence("budget", {"seen": 1}).run
    with pytest.raises(InputError, match=r"budget\.json: is damaged"):
        latency_budget.read(run)
