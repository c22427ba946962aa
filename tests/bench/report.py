"""How long ten million samples take: `python -m tests.bench.report [MILLIONS]`.

Makes a run folder as two workers would write it (segments of 10,000 rows), builds the whole report from it,
and then makes the same tables three ways: by this room, by DuckDB and by polars where those are installed.
Each part runs in a process of its own; times do not count its imports, memory is its peak.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from calorimeter.core.host import environment
from calorimeter.core.recorded.samples import SAMPLE

ROWS_A_FILE = 10_000
RATE_PER_S = 3000
Work = Callable[[], None]
KINDS = ("list", "show", "create", "delete", "wait")


def make(folder: Path, rows: int) -> None:
    """Write a run of `rows` samples; their request ids are empty, because no table reads them."""
    (folder / "samples").mkdir(parents=True)
    about = {
        "schema_version": 1,
        "id": folder.name,
        "started": "2026-01-01T00:00:00+00:00",
        "deployment": "bench",
        "commands": [],
        "environment": environment.capture(),
    }
    (folder / "run.json").write_text(json.dumps(about))
    rng = np.random.default_rng(1)
    for number in range(rows // ROWS_A_FILE):
        worker, segment = number % 2, number // 2
        name = f"worker-{worker:02}-{segment + 1:05}.parquet"
        pq.write_table(_segment(rng, number), folder / "samples" / name, compression="zstd")


def _segment(rng: np.random.Generator, number: int) -> pa.Table:
    n = ROWS_A_FILE
    begins_s = number * n / RATE_PER_S
    due = 1_760_000_000_000_000_000 + (
        (begins_s + np.sort(rng.uniform(0, n / RATE_PER_S, n))) * 1e9
    ).astype(int)
    kind = rng.choice(len(KINDS), n, p=[0.4, 0.25, 0.1, 0.05, 0.2])
    took = np.array([0.02, 0.03, 0.12, 0.09, 0.04])[kind] * rng.lognormal(0, 0.5, n)
    failed = rng.uniform(size=n) < 0.002
    sent = due + (rng.exponential(0.0003, n) * 1e9).astype(int)
    done = sent + (np.where(failed, 10.0, took) * 1e9).astype(int)
    columns: dict[str, Any] = {
        "scheduled_ns": due,
        "sent_ns": sent,
        "first_byte_ns": done,
        "done_ns": done,
        "api": _coded(np.zeros(n, np.int16), ("rest",)),
        "operation": _coded(kind.astype(np.int16), KINDS),
        "status": np.where(failed, 0, 200).astype(np.int16),
        "error": _coded(failed.astype(np.int16), ("", "timeout")),
        "source": _coded(
            rng.integers(0, 1000, n).astype(np.int32),
            tuple(f"127.1.{i // 250}.{i % 250}" for i in range(1000)),
        ),
        "source_port": rng.integers(1024, 65535, n).astype(np.uint16),
        "request_id": pa.repeat(pa.scalar(""), n),
        "user": np.zeros(n, np.int32),
        "phase": _coded(np.zeros(n, np.int16), ("load",)),
    }
    return pa.table(list(columns.values()), schema=SAMPLE)


def _coded(codes: Any, names: tuple[str, ...]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))


def report(folder: Path) -> Work:
    """The whole page, as `calorimeter report` makes it."""
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.report import page, page_content, report_folder

    def make() -> None:
        report_folder.write(page.files(page_content.collect(RunDir.open(folder))), folder / "report")

    return make


def ours(folder: Path) -> Work:
    """The tables of `_queries`, by this room."""
    from calorimeter.core.recorded import sample_tables
    from calorimeter.core.recorded.measured_part import measured_part
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.report import time_axis
    from calorimeter.report.tables import latency, rates

    def work() -> None:
        samples = sample_tables.samples(RunDir.open(folder))
        assert samples is not None
        bins = time_axis.axis(samples)
        measured = measured_part(samples, {})
        assert measured is not None
        rates.rates(samples, bins)
        latency.latencies(samples, bins)
        rates.errors(samples)
        latency.operations(samples, measured, None)

    return work


BIN_NS = 15_000_000_000
"""The bins that ten million samples get at `RATE_PER_S`."""

_SAMPLES = """
CREATE TEMP TABLE s AS
WITH raw AS (SELECT * FROM read_parquet(?)), start AS (SELECT min(scheduled_ns) AS t FROM raw)
SELECT api || ' ' || operation AS kind, error, status,
       done_ns - scheduled_ns AS response, done_ns - sent_ns AS service,
       (scheduled_ns - t) // 15000000000 AS due, (done_ns - t) // 15000000000 AS ended
FROM raw, start
"""

_QUERIES = (
    "SELECT due, count(*), count(*) FILTER (error = 'dropped') FROM s GROUP BY due",
    "SELECT ended, count(*) FILTER (error = ''), count(*) FILTER (error <> '') FROM s GROUP BY ended",
    "SELECT due, count(*), quantile_cont(response, [0.5, 0.9, 0.99, 0.999]) "
    "FROM s WHERE error = '' GROUP BY due",
    "SELECT kind, error, status, count(*), median(response) FROM s WHERE error <> '' GROUP BY ALL",
    "SELECT kind, count(*), quantile_cont(response, [0.5, 0.9, 0.99, 0.999]), "
    "quantile_cont(service, [0.5, 0.9, 0.99, 0.999]) "
    "FROM s WHERE error = '' GROUP BY GROUPING SETS ((kind), ())",
    "SELECT kind, count(*) FROM s GROUP BY kind",
)


def duckdb(folder: Path) -> Work:
    """The same tables by DuckDB."""
    import duckdb as engine  # type: ignore[import-not-found,unused-ignore]

    def work() -> None:
        connection = engine.connect()
        connection.execute(_SAMPLES, [str(folder / "samples" / "*.parquet")])
        for query in _QUERIES:
            connection.execute(query).fetchall()

    return work


def polars(folder: Path) -> Work:
    """The same tables by polars."""
    import polars as pl  # type: ignore[import-not-found,unused-ignore]

    def work() -> None:
        wanted = ["scheduled_ns", "sent_ns", "done_ns", "api", "operation", "status", "error"]
        raw = pl.scan_parquet(folder / "samples" / "*.parquet").select(wanted).collect()
        start = raw["scheduled_ns"].min()
        frame = raw.with_columns(
            response=pl.col("done_ns") - pl.col("scheduled_ns"),
            service=pl.col("done_ns") - pl.col("sent_ns"),
            due=(pl.col("scheduled_ns") - start) // BIN_NS,
            ended=(pl.col("done_ns") - start) // BIN_NS,
            good=pl.col("error").cast(pl.String) == "",
        )
        good, bad = frame.filter(pl.col("good")), frame.filter(~pl.col("good"))
        quantiles = [
            pl.col(name).quantile(q, "linear").alias(f"{name}{q}")
            for name in ("response", "service")
            for q in (0.5, 0.9, 0.99, 0.999)
        ]
        frame.group_by("due").agg(pl.len())
        frame.group_by("ended").agg(pl.col("good").sum(), pl.len())
        good.group_by("due").agg(pl.len(), *quantiles[:4])
        bad.group_by("api", "operation", "error", "status").agg(pl.len(), pl.col("response").median())
        good.group_by("api", "operation").agg(pl.len(), *quantiles)
        good.select(pl.len(), *quantiles)
        frame.group_by("api", "operation").agg(pl.len())

    return work


PARTS: dict[str, Callable[[Path], Work]] = {
    "report": report,
    "ours": ours,
    "duckdb": duckdb,
    "polars": polars,
}


def _measured(part: str, folder: Path) -> dict[str, float]:
    """Run one part in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.report", "--part", part, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _run_part(part: str, folder: Path) -> None:
    work = PARTS[part](folder)  # imports what it needs, which is not counted
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    work()
    figures = {
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - began_cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
    }
    print(json.dumps(figures))


def main() -> None:
    """Make the run, measure each part, print a table."""
    if sys.argv[1:2] == ["--part"]:
        _run_part(sys.argv[2], Path(sys.argv[3]))
        return
    rows = int(float(sys.argv[1] if len(sys.argv) > 1 else "10") * 1_000_000)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "bench"
        make(folder, rows)
        size = sum(path.stat().st_size for path in (folder / "samples").iterdir())
        print(
            f"{rows:,} samples, {rows // ROWS_A_FILE:,} files, {size / 1e6:.0f} MB, {os.cpu_count()} CPUs"
        )
        print(f"{'':10}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}")
        for part in PARTS:
            if part in ("duckdb", "polars") and find_spec(part) is None:
                print(f"{part:10}  not installed (pip install {part})")
                continue
            found = _measured(part, folder)
            print(
                f"{part:10}{found['wall_s']:10.1f}{found['cpu_s']:10.1f}{found['peak_mb']:10.0f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
