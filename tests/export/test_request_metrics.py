"""Metrics of a run as OTLP JSON: every request is in a bucket, and the last point is the whole run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calorimeter.commands import polled_metrics
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import LEDGER, SAMPLE
from calorimeter.export import otlp_points, request_metrics
from calorimeter.export.otlp_points import BOUNDS_S
from calorimeter.export.otlp_values import ExportedRun
from tests.export import otlp_schema
from tests.fuzz import whole_runs
from tests.report.run_builder import Builder

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
"""A multiple of ten seconds."""

Key = tuple[str, str, str, str, str]


def sample(due_ms: int, waited_ms: int, took_ms: int, **more: Any) -> dict[str, Any]:
    """A request that was due at `due_ms`, sent after a wait and answered after it took some ms more."""
    sent_ns = T0 + (due_ms + waited_ms) * MS
    return {
        "scheduled_ns": T0 + due_ms * MS, "sent_ns": sent_ns, "first_byte_ns": 0,
        "done_ns": sent_ns + took_ms * MS, "api": "rest", "operation": "list", "status": 200, "error": "",
        "source": "127.0.0.10", "source_port": 40000, "request_id": "req-1", "user": 1, "phase": "", **more,
    }  # fmt: skip


def run_of(path: Path, **workers: list[dict[str, Any]]) -> RunDir:
    """A run folder with the samples of these workers."""
    run = Builder(path / "20260102T030405Z-x-ab12").about().run
    for name, rows in workers.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLE), run.path / "samples" / f"{name}.parquet")
    return run


def exported(run: RunDir, interval_s: int = 10) -> dict[str, dict[tuple[Any, ...], list[Any]]]:
    """The points of each metric, by worker and the values of their attributes, parsed by the schema."""
    text = "".join(otlp_points.lines(request_metrics.points(run, interval_s), ExportedRun("r", "d")))
    found: dict[str, dict[tuple[Any, ...], list[Any]]] = {}
    for of_resource in otlp_schema.metrics(text).resource_metrics:
        instance = otlp_schema.values(of_resource.resource.attributes).get("service.instance.id", "")
        for metric in of_resource.scope_metrics[0].metrics:
            data = getattr(metric, metric.WhichOneof("data"))
            assert metric.WhichOneof("data") == "gauge" or data.aggregation_temporality == 2
            for point in data.data_points:
                key = (instance, *otlp_schema.values(point.attributes).values())
                found.setdefault(metric.name, {}).setdefault(key, []).append(point)
    return found


def at_s(point: Any) -> float:
    """When a point is, s after T0."""
    return (point.time_unix_nano - T0) / 1e9


def test_requests_are_in_the_buckets_of_their_durations(tmp_path: Path) -> None:
    """By worker, operation and outcome; a value at a bound is below it, and one of 121 s above all."""
    run = run_of(
        tmp_path,
        w0=[sample(0, 1, 1), sample(10, 0, 121_000), sample(20, 3, 2)],
        w1=[sample(0, 0, 20, operation="show", error="timeout", status=0)],
    )
    found = exported(run)
    (first, last) = found["calorimeter.response_time"]["w0", "rest", "list", "ok"]
    assert list(first.explicit_bounds) == list(BOUNDS_S)
    assert list(first.bucket_counts) == [0, 1, 1, *[0] * 15]  # 2 ms and 5 ms
    assert (at_s(first), first.start_time_unix_nano, first.count) == (10, T0, 2)
    assert (at_s(last), last.count, last.bucket_counts[-1]) == (130, 3, 1)
    assert last.sum == pytest.approx(0.002 + 121 + 0.005)
    (service, _) = found["calorimeter.service_time"]["w0", "rest", "list", "ok"]
    assert list(service.bucket_counts[:3]) == [1, 1, 0]  # 1 ms and 2 ms
    (failed,) = found["calorimeter.response_time"]["w1", "rest", "show", "timeout", "timeout"]
    assert failed.count == 1


def test_requests_that_were_never_sent_have_no_duration(tmp_path: Path) -> None:
    """They are counted apart."""
    run = run_of(tmp_path, w0=[sample(0, 0, 5), *[sample(at, 0, 0, error="dropped") for at in (1, 15_000)]])
    found = exported(run)
    points = found["calorimeter.requests_dropped"]["w0", "rest", "list", "dropped", "dropped"]
    assert [(at_s(point), point.as_int) for point in points] == [(10, 1), (20, 2)]
    assert [*found["calorimeter.response_time"]] == [("w0", "rest", "list", "ok")]


def test_requests_in_flight_are_those_sent_and_not_ended(tmp_path: Path) -> None:
    """At the end of each interval in which their number changed; none at the end."""
    run = run_of(tmp_path, w0=[sample(0, 0, 25_000), sample(500, 0, 11_000), sample(12_000, 0, 1)])
    points = exported(run)["calorimeter.requests_in_flight"]["w0",]
    assert [(at_s(point), point.as_int) for point in points] == [(10, 2), (20, 1), (30, 0)]


def test_stacks_are_in_progress_until_they_were_seen_to_end(tmp_path: Path) -> None:
    """One that never ended stays in progress."""
    run = run_of(tmp_path, w0=[sample(0, 0, 5)])
    rows = [
        {"stack_id": "s", "name": "s", "api": "rest", "request_id": "r", "accepted_ns": T0 + begun * MS,
         "final_ns": T0 + ended * MS if ended else 0, "final_state": "", "deleted_ns": 0, "user": 1}
        for begun, ended in ((0, 15_000), (1000, 0), (21_000, 22_000))
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows, schema=LEDGER), run.path / "ledger" / "w0.parquet")
    points = exported(run)["calorimeter.stacks_in_progress"]["",]
    assert [(at_s(point), point.as_int) for point in points] == [(10, 2), (20, 1), (30, 1)]


@pytest.mark.parametrize("interval_s", [1, 10, 86400])
def test_the_last_points_count_the_whole_run(tmp_path: Path, interval_s: int) -> None:
    """Whatever the interval; counts never fall; the same folder gives the same points."""
    run = RunDir.open(whole_runs.make(tmp_path / "run", seconds=5))
    found = exported(run, interval_s)
    expected: Counter[tuple[str, str, str]] = Counter()
    for file in run.parquet("samples"):
        for row in pq.read_table(file).to_pylist():
            expected[file.stem, row["operation"], row["error"]] += row["error"] != "dropped"
    for name in ("calorimeter.response_time", "calorimeter.service_time"):
        ends: Counter[tuple[str, str, str]] = Counter()
        for (worker, _, operation, *outcome), points in found[name].items():
            counts = [point.count for point in points]
            assert counts == sorted(counts)
            assert all(sum(point.bucket_counts) == point.count for point in points)
            ends[worker, operation, "" if outcome == ["ok"] else outcome[0]] += counts[-1]
        assert ends == +expected
    assert found["calorimeter.lag_max"]["w0-0",][0].as_double == 0.006
    assert exported(run, interval_s) == found


def test_a_killed_worker_is_one_worker(tmp_path: Path) -> None:
    """Its files have numbers, and belong together if run.json names the worker."""
    run = run_of(
        tmp_path, **{"w0-0001": [sample(0, 0, 5)], "w0-0002": [sample(1, 0, 5)], "x-1": [sample(2, 0, 5)]}
    )
    run.note(workers=[{"worker": "w0"}])
    found = exported(run)["calorimeter.response_time"]
    assert {key[0]: points[-1].count for key, points in found.items()} == {"w0": 2, "x-1": 1}


def test_too_many_points_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what helps; memory is bounded."""
    monkeypatch.setattr(request_metrics, "MOST_CELLS", 3)
    run = run_of(tmp_path, w0=[sample(at * 1000, 0, 5) for at in range(5)])
    with pytest.raises(
        InputError, match="1 s make more than 3 points of this run; valid: a longer interval"
    ):
        exported(run, 1)
    assert exported(run, 60)


def test_servers_queues_and_engines_are_counted_as_they_were_polled(tmp_path: Path) -> None:
    """Totals of the proxy are there too; an engine has the name that spans give it."""
    run = RunDir.open(whole_runs.make(tmp_path / "run", seconds=3))
    text = "".join(otlp_points.lines(polled_metrics.points(run), ExportedRun()))
    found: Counter[tuple[str, str]] = Counter()
    engines = set()
    for of_resource in otlp_schema.metrics(text).resource_metrics:
        about = otlp_schema.values(of_resource.resource.attributes)
        for metric in of_resource.scope_metrics[0].metrics:
            data = getattr(metric, metric.WhichOneof("data"))
            found[about["service.name"], metric.name] += len(data.data_points)
            if about["service.name"] == "heat-engine":
                engines.add(about["service.instance.id"])
    assert {name for _, name in found} == {
        "calorimeter.proxy.sessions_total", "calorimeter.proxy.sessions", "calorimeter.queue.ready",
        "calorimeter.queue.unacknowledged", "calorimeter.engine.deliveries",
    }  # fmt: skip
    assert engines and all(name.startswith("heat-engine[") and "@" in name for name in engines)


def test_damaged_polls_are_no_points(tmp_path: Path) -> None:
    """The metrics of requests are still there."""
    run = RunDir.open(whole_runs.make(tmp_path / "run", seconds=2))
    for name in ("proxy", "broker"):
        (run.path / "watch" / f"{name}.jsonl").write_text('{"t_ns": -1, "servers": [{}]}\n{"t_ns')
    assert list(polled_metrics.points(run)) == []
    (run.path / "watch" / "broker.jsonl").unlink()
    assert list(polled_metrics.points(run)) == []
