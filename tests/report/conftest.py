"""Run folders made of literals and of samples drawn with a fixed seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calorimeter.core import verdict
from calorimeter.core.rundir import RunDir
from calorimeter.core.samples import LEDGER, SAMPLE
from calorimeter.core.verdict import Judgement, Outcome, Verdict, Verdicts

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
[engines]
names = ["engine-1", "engine-2", "engine-3"]
workers = 1
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


def proxy_polls(seconds: int = 60) -> list[dict[str, Any]]:
    """Polls of the proxy's counters: rest-1 takes two connections a second, rest-2 one."""

    def row(section: str, server: str, stot: int) -> dict[str, Any]:
        state = {"status": "UP", "scur": stot % 5, "qcur": 0, "check_status": "L7OK", "weight": 1}
        return {"section": section, "server": server, "stot": stot, **state}

    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "proxy": "proxy",
            "servers": [
                row("rest_api_proxy", "FRONTEND", 100 + 3 * second),
                row("rest_api_proxy", "rest-1", 70 + 2 * second),
                row("rest_api_proxy", "rest-2", 30 + second),
                row("rest_api_proxy", "BACKEND", 100 + 3 * second),
                row("cfn_api_proxy", "cfn-1", 5 + second),
                row("cfn_api_proxy", "cfn-2", 5 + second),
            ],
        }
        for second in range(seconds + 1)
    ]


def broker_polls(seconds: int = 60, engines: tuple[int, ...] = (4711, 4712, 4713)) -> list[dict[str, Any]]:
    """Polls of the broker: each engine takes ten calls and thirty tasks a second."""

    def channel(pid: int, topic: str, second: int) -> dict[str, Any]:
        each = {"engine": 10, "engine_worker": 30}[topic]
        return {
            "connection": f"127.0.0.1:{pid} -> 127.0.0.1:5672 ({topic})",
            "name": f"heat-engine:{pid}:0a1b2c3d-0000-0000-0000-{pid:012d}",
            "queue_consumers": [topic, f"{topic}.host-{pid}"],
            "deliver": each * second,
        }

    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "queues": [
                {
                    "name": name,
                    "messages_ready": (second * 7) % 5,
                    "messages_unacknowledged": (second * 3) % 4,
                    "consumers": len(engines),
                }
                for name in ("engine", "engine_worker", "heat-engine-listener")
            ],
            "channels": [
                channel(pid, topic, second) for pid in engines for topic in ("engine", "engine_worker")
            ],
        }
        for second in range(seconds + 1)
    ]


def gates() -> tuple[Verdict, ...]:
    """A verdict of each outcome, one of them waived."""
    return (
        Verdict(
            gate="E2",
            heading="Calls rotate over the engines in exact order",
            guide="The message broker hands calls to the engines in turn.",
            judgement=Judgement(
                outcome=Outcome.PASS,
                why="31 calls went to 3 engines in turn.",
                figures={
                    "calls": 31,
                    "deliveries_engine-1": 11,
                    "deliveries_engine-2": 10,
                    "deliveries_engine-3": 10,
                },
            ),
            evidence=("evidence/E2.json",),
        ),
        Verdict(
            gate="H1",
            heading="Health checks really run",
            guide="option httpchk",
            judgement=Judgement(
                outcome=Outcome.FAIL,
                why="2 of 4 servers are not checked.",
                figures={"unchecked": 2},
                counter_examples=("rest_api_proxy/rest-1: no check", "rest_api_proxy/rest-2: no check"),
            ),
            waived="known, ticket 17",
        ),
        Verdict(
            gate="L1",
            heading="Every accepted stack reaches a final state",
            guide="",
            judgement=Judgement(outcome=Outcome.INCONCLUSIVE, why="The ledger is empty."),
        ),
        Verdict(
            gate="P3",
            heading="maxconn holds back and does not drop",
            guide="maxconn 4000",
            judgement=Judgement(outcome=Outcome.NOT_RUN, why="It needs consent to load."),
        ),
        Verdict(
            gate="S1",
            heading="Each source address stays on one server",
            guide="balance source",
            judgement=Judgement(
                outcome=Outcome.PASS,
                why="Each of 30 sources stayed on one server.",
                figures={
                    "sources": 30,
                    "share_rest-1": 0.5,
                    "share_rest-2": 0.5,
                    "share_cfn-1": 0.4,
                    "share_cfn-2": 0.6,
                },
            ),
        ),
    )


def everything(path: Path) -> Builder:
    """A run folder with all there can be: two files of samples, polls and verdicts."""
    builder = Builder(path).about()
    builder.samples(name="w0-0", seed=1).samples(name="w1-0", seed=2)
    builder.watch("proxy", proxy_polls()).watch("broker", broker_polls()).verdicts(*gates())
    builder.watch("processes", process_polls())
    builder.ledger(
        [
            {
                "stack_id": f"s{i}",
                "name": f"s{i}",
                "api": "rest",
                "request_id": f"req-{i}",
                "accepted_ns": START_NS + i * 1_000_000_000,
                "final_ns": START_NS + (i + 5) * 1_000_000_000,
                "final_state": "CREATE_COMPLETE",
                "deleted_ns": 0,
                "user": 1,
            }
            for i in range(40)
        ]
    )
    builder.evidence("H2", {"trials": [trial()]})
    (builder.path / "scenario.toml").write_text('name = "first-mix"\n')
    return builder


NAME = "20260102T030405Z-first-mix-ab12"


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    """A run folder with run.json and deployment.toml only."""
    return Builder(tmp_path / "runs" / NAME).about()


@pytest.fixture
def full(tmp_path: Path) -> Builder:
    """A run folder with everything, to be damaged."""
    return everything(tmp_path / "runs" / NAME)


@pytest.fixture(scope="module")
def module_builder(tmp_path_factory: pytest.TempPathFactory) -> Builder:
    """A run folder with everything, only to be read."""
    return everything(tmp_path_factory.mktemp("everything") / "runs" / NAME)


@pytest.fixture(name="one")
def _one() -> Callable[..., dict[str, Any]]:
    return one


def process_polls(seconds: int = 60) -> list[dict[str, Any]]:
    """Polls of two parts: rest-1 uses a quarter of a processor, engine-1 a half."""
    return [
        {
            "t_ns": START_NS + second * 1_000_000_000,
            "processes": [
                {"part": "rest-1", "cpu_s": 3 + 0.25 * second, "rss_bytes": 80_000_000},
                {"part": "engine-1", "cpu_s": 5 + 0.5 * second, "rss_bytes": 100_000_000 + second},
            ],
        }
        for second in range(seconds + 1)
    ]


def trial() -> dict[str, Any]:
    """Evidence of a fault: rest-1 dies at 2 s, is out from 4 s to 9 s, and one request of three fails."""

    def at(second: float) -> int:
        return START_NS + int(second * 1e9)

    def attempt(second: float, status: int) -> dict[str, Any]:
        return {"api": "rest", "due_ns": at(second), "done_ns": at(second + 0.5), "status": status}

    return {
        "fault": "kill",
        "began_ns": at(0),
        "ended_ns": at(12),
        "injected": [{"server": "rest-1", "at_ns": at(2), "heal_began_ns": at(8)}],
        "changes": [
            {"server": "rest-1", "status": "UP", "seen_ns": at(0)},
            {"server": "rest-1", "status": "DOWN", "seen_ns": at(4)},
            {"server": "rest-1", "status": "UP", "seen_ns": at(9)},
        ],
        "attempts": [attempt(1, 200), attempt(3, 0), attempt(5, 200)],
    }


class Polls:
    """What was polled and judged, as lists."""

    start_ns = START_NS
    processes = staticmethod(process_polls)
    trial = staticmethod(trial)

    proxy = staticmethod(proxy_polls)
    broker = staticmethod(broker_polls)
    gates = staticmethod(gates)


@pytest.fixture
def polls() -> type[Polls]:
    """Makers of polls and verdicts."""
    return Polls
