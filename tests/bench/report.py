"""How long millions of samples take: `python -m tests.bench.report [MILLIONS] [--in FOLDER] [--only PART]`.

Makes a run folder as two workers would write it (segments of 10,000 rows), then does with it what reads all
samples of a run. Each part runs in a process of its own; times do not count its imports, memory is its
peak. A hundred million samples need 3 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from calorimeter.core.host import environment
from calorimeter.core.recorded.samples import SAMPLE

AS_RECORDED: dict[str, Any] = {
    "compression": "zstd",
    "use_dictionary": [f.name for f in SAMPLE if not pa.types.is_int64(f.type) and f.name != "request_id"],
    "column_encoding": {
        **{field.name: "DELTA_BINARY_PACKED" for field in SAMPLE if pa.types.is_int64(field.type)},
        "request_id": "DELTA_BYTE_ARRAY",
    },
    "write_statistics": False,
}
"""How the recorder of a load writes Parquet."""

ROWS_A_FILE = 10_000
RATE_PER_S = 3000
Work = Callable[[], object]
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
        pq.write_table(_segment(rng, number), folder / "samples" / name, **AS_RECORDED)


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


def page(folder: Path) -> Work:
    """The whole page, as `calorimeter report` makes it."""
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.report import page, page_content, report_folder

    def work() -> None:
        report_folder.write(page.files(page_content.collect(RunDir.open(folder))), folder / "report")

    return work


def tables(folder: Path) -> Work:
    """Only the page's tables."""
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.core.recorded.sample_stream import SampleStream
    from calorimeter.report import load_tables

    return lambda: load_tables.read(SampleStream(RunDir.open(folder)), {})


def compared(folder: Path) -> Work:
    """What `calorimeter compare` takes from one run."""
    from calorimeter.report import measured_runs

    return lambda: measured_runs.measure(folder)


def gates(folder: Path) -> Work:
    """The evidence of gates T1 and T3."""
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.gates.service_level import counted_samples

    def work() -> None:
        counted = counted_samples.read(RunDir.open(folder))
        counted.served(["*", *(f"rest.{kind}" for kind in KINDS)])
        counted_samples.read(RunDir.open(folder)).sent()

    return work


def balance(folder: Path) -> Work:
    """`calorimeter balance`; the run has no ledger."""
    from calorimeter.core.recorded.rundir import RunDir
    from calorimeter.load.run import ledger_balance

    return lambda: ledger_balance.balance_of_run(RunDir.open(folder))


PARTS: dict[str, Callable[[Path], Work]] = {
    "report": page,
    "tables": tables,
    "compare": compared,
    "gates T": gates,
    "balance": balance,
}


def _measured(part: str, folder: Path) -> dict[str, float]:
    """Run one part in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.report", "--part", part, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _run_part(part: str, folder: Path) -> None:
    work = PARTS[part](folder)  # imports what it needs, which is not counted
    began_s, began_cpu_s, busy_s = time.monotonic(), time.process_time(), _busy_s()
    work()
    wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - began_cpu_s
    figures = {
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "others": (_busy_s() - busy_s - cpu_s) / wall_s,
    }
    print(json.dumps(figures))


def _busy_s() -> float:
    """Processor time that this machine has spent on all programs, in s."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def main() -> None:
    """Make the run, measure each part, print a table."""
    if sys.argv[1:2] == ["--part"]:
        _run_part(sys.argv[2], Path(sys.argv[3]))
        return
    options = argparse.ArgumentParser(prog="bin/bench report")
    options.add_argument("millions", type=float, nargs="?", default=10.0, help="samples (default: 10)")
    options.add_argument("--in", dest="place", type=Path, help="folder for the run (default: /tmp)")
    options.add_argument("--only", choices=PARTS, help="one of the parts (default: all)")
    given = options.parse_args()
    rows = int(given.millions * 1_000_000)
    with tempfile.TemporaryDirectory(dir=given.place) as scratch:
        folder = Path(scratch) / "bench"
        make(folder, rows)
        size = sum(path.stat().st_size for path in (folder / "samples").iterdir())
        print(
            f"{rows:,} samples, {rows // ROWS_A_FILE:,} files, {size / 1e6:.0f} MB, {os.cpu_count()} CPUs; "
            f"load before: {os.getloadavg()[0]:.1f}"
        )
        print(f"{'':10}{'wall s':>10}{'cpu s':>10}{'peak MB':>10}  CPUs used by other programs")
        for part in [given.only] if given.only else PARTS:
            found = _measured(part, folder)
            print(
                f"{part:10}{found['wall_s']:10.1f}{found['cpu_s']:10.1f}{found['peak_mb']:10.0f}"
                f"{found['others']:10.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
