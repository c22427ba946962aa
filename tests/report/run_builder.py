"""Run folders made of literals and of samples drawn with a fixed seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from calorimeter.core import verdict
from calorimeter.core.recorded import gate_times
from calorimeter.core.recorded.gate_times import GateTimes
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.samples import LEDGER, SAMPLE
from calorimeter.core.verdict import Verdict, Verdicts

START_NS = 1_760_000_000_000_000_000

DEPLOYMENT = """\
name = "checked"
[rest]
url = "http://127.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [
  { name = "rest-1", address = "127.0.1.1:8004" },
  { name = "rest-2", address = "127.0.1.2:8004" },
]
[cfn]
url = "http://127.0.0.1:8000/v1"
proxy_section = "cfn_api_proxy"
backends = [
  { name = "cfn-1", address = "127.0.1.1:8000" },
  { name = "cfn-2", address = "127.0.1.2:8000" },
]
[[engines]]
hosts = ["engine-1", "engine-2", "engine-3"]
[[proxy]]
name = "proxy"
stats = ["unix:///tmp/proxy.sock"]
version = "2.6.12"
"""

OPERATIONS = (
    ("rest", "list", 0.025),
    ("rest", "create", 0.12),
    ("rest", "show", 0.03),
    ("rest", "delete", 0.09),
    ("cfn", "ListStacks", 0.05),
    ("cfn", "CreateStack", 0.2),
)


@dataclass
class Builder:
    """Writes one run folder piece by piece."""

    path: Path

    def about(self, **entries: Any) -> Builder:
        """Write run.json and deployment.toml."""
        environment = {
            "calorimeter": "0.1.0",
            "git_revision": "0123456789ab",
            "python": "3.11.2",
            "libraries": {"locust": "2.32", "pandas": "2.2"},
            "system": "Debian GNU/Linux 12 (bookworm)",
            "kernel": "6.1.0",
            "machine": "x86_64",
            "cpu": "Some processor",
            "cpus": 2,
            "memory_bytes": 24_000_000_000,
        }
        about = {
            "schema_version": 1,
            "id": self.path.name,
            "started": "2026-01-02T03:04:05+00:00",
            "deployment": "checked",
            "commands": [["calorimeter", "run", "scenarios/first-mix.toml"]],
            "environment": environment,
        }
        self.path.mkdir(parents=True, exist_ok=True)
        for folder in ("samples", "ledger", "watch", "evidence"):
            (self.path / folder).mkdir(exist_ok=True)
        (self.path / "run.json").write_text(json.dumps({**about, **entries}))
        (self.path / "deployment.toml").write_text(DEPLOYMENT)
        return self

    def samples(
        self, columns: dict[str, list[Any]] | None = None, name: str = "w0-0", **how: Any
    ) -> Builder:
        """Write one file of samples: the columns given, or those of `drawn`."""
        table = pa.table(columns, schema=SAMPLE) if columns is not None else drawn(**how)
        pq.write_table(table, self.path / "samples" / f"{name}.parquet")
        return self

    def ledger(self, rows: list[dict[str, Any]]) -> Builder:
        """Write a ledger of stacks."""
        pq.write_table(pa.Table.from_pylist(rows, schema=LEDGER), self.path / "ledger" / "w0-0.parquet")
        return self

    def verdicts(self, *verdicts: Verdict) -> Builder:
        """Write verdicts.json."""
        verdict.write(Verdicts(verdicts=verdicts), self.path / "verdicts.json")
        return self

    def timings(self, times: GateTimes) -> Builder:
        """Write timings.json."""
        gate_times.write(times, self.path)
        return self

    def evidence(self, name: str, tree: Any) -> Builder:
        """Write evidence/<name>.json."""
        (self.path / "evidence" / f"{name}.json").write_text(json.dumps(tree))
        return self

    def watch(self, name: str, polls: list[Any], tail: str = "") -> Builder:
        """Write watch/<name>.jsonl, with `tail` after the last whole line."""
        text = "".join(json.dumps(poll) + "\n" for poll in polls) + tail
        (self.path / "watch" / f"{name}.jsonl").write_text(text)
        return self

    @property
    def run(self) -> RunDir:
        """The folder as the suite opens it."""
        return RunDir.open(self.path)


def one(kind: str, **columns: Any) -> dict[str, Any]:
    """One sample as a row, `at_ms` and `took_ms` instead of times."""
    api, _, operation = kind.partition(" ")
    due = START_NS + int(columns.pop("at_ms", 0) * 1e6)
    late, took = int(columns.pop("late_ms", 0) * 1e6), int(columns.pop("took_ms", 10) * 1e6)
    row = {
        "scheduled_ns": due,
        "sent_ns": due + late,
        "first_byte_ns": due + late + took,
        "done_ns": due + late + took,
        "api": api,
        "operation": operation,
        "status": 200,
        "error": "",
        "source": "127.0.0.10",
        "source_port": 40000,
        "request_id": "req-1",
        "user": 1,
        "phase": "",
    }
    return {**row, **columns}


def drawn(
    *,
    seconds: int = 60,
    rate: float = 60.0,
    seed: int = 1,
    failing: float = 0.01,
    slower: float = 1.0,
    start_ns: int = START_NS,
    warm_up_s: int = 0,
    phases: tuple[str, ...] = ("",),
) -> pa.Table:
    """Samples of a mix of operations: Poisson arrivals, lognormal times, some timeouts and errors."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    at = np.sort(rng.uniform(0, seconds, n))
    which = rng.choice(len(OPERATIONS), n, p=[0.4, 0.1, 0.25, 0.1, 0.1, 0.05])
    middle = np.array([operation[2] for operation in OPERATIONS])[which]
    took = middle * slower * rng.lognormal(0, 0.45, n) * np.where(at < warm_up_s, 4.0, 1.0)
    late = rng.exponential(0.0004, n)
    error = np.where(rng.uniform(size=n) < failing, rng.choice(["timeout", "status", "connect"], n), "")
    took = np.where(error == "timeout", 10.0, took)
    due = start_ns + (at * 1e9).astype(np.int64)
    sent = due + (late * 1e9).astype(np.int64)
    done = sent + (took * 1e9).astype(np.int64)
    status = np.select([error == "", error == "status"], [200, 503], 0)
    columns = {
        "scheduled_ns": due,
        "sent_ns": sent,
        "first_byte_ns": np.where(error == "", done - 1000, 0),
        "done_ns": done,
        "api": [OPERATIONS[i][0] for i in which],
        "operation": [OPERATIONS[i][1] for i in which],
        "status": status,
        "error": error.tolist(),
        "source": [f"127.0.0.{10 + i % 30}" for i in range(n)],
        "source_port": (20000 + np.arange(n) % 30000).astype(np.uint16),
        "request_id": [f"req-{i}" for i in range(n)],
        "user": (np.arange(n) % 12).astype(np.int32),
        "phase": [phases[min(int(t / seconds * len(phases)), len(phases) - 1)] for t in at],
    }
    return pa.table(columns, schema=pa.schema(list(SAMPLE))).replace_schema_metadata(SAMPLE.metadata)
