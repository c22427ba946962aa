"""A small whole run folder and folders of studies, made of literals: what the mutators damage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from calorimeter.core.recorded.gate_times import GateTime, GateTimes
from calorimeter.core.recorded.samples import ACTION
from calorimeter.core.verdict import Judgement, Outcome
from tests.places import CLONE
from tests.report.budget_record import record
from tests.report.recorded import broker_polls, gates, process_polls, proxy_polls, trial
from tests.report.run_builder import START_NS, Builder

PUBLISHED = CLONE / "reports/data"


def make(path: Path, *, seconds: int = 20) -> Path:
    """Write a whole run folder with every kind of file that a run can have; the folder itself."""
    builder = Builder(path).about(**_noted(seconds))
    builder.samples(name="w0-0", seed=1, seconds=seconds, rate=30).samples(
        name="w1-0", seed=2, seconds=seconds, rate=30, phases=("warm_up", "", "", "clean_up")
    )
    builder.watch("proxy", proxy_polls(seconds)).watch("broker", broker_polls(seconds))
    builder.watch("processes", process_polls(seconds)).watch("generator", _windows(seconds))
    builder.ledger([_stack(number) for number in range(20)])
    (path / "actions").mkdir(exist_ok=True)
    acted = pa.Table.from_pylist([_action(number) for number in range(20)], schema=ACTION)
    pq.write_table(acted, path / "actions" / "w0-0.parquet")
    _evidence(builder)
    builder.verdicts(*gates()).timings(
        GateTimes(gates=tuple(GateTime(gate=v.gate, at_s=0.0, took_s=1.0) for v in gates()))
    )
    (path / "proxy").mkdir(exist_ok=True)
    (path / "proxy" / "proxy-0.cfg").write_text("global\n    maxconn 4000\n")
    scenario = next(PUBLISHED.glob("rest-and-cfn/*/scenario.toml"))
    (path / "scenario.toml").write_text(scenario.read_text())
    result = {"unit": "users", "capacity": 8.0, "broken": 9.0, "confirmed": True, "limit": "p99"}
    (path / "capacity.json").write_text(json.dumps(result))
    return path


def _noted(seconds: int) -> dict[str, Any]:
    copied = {"proxy": "proxy", "file": "/etc/x.cfg", "copy": "proxy/proxy-0.cfg", "sha256": "0" * 64}
    worker = {"worker": "w0-0", "host": "a", "lost": False, "windows": seconds, "invalid_windows": 1}
    clock = {"clock_offset_s": 0.01, "clock_offset_within_s": 0.001}
    length = {"duration_s": float(seconds), "warm_up_s": 2.0}
    return {
        **{"scenario": "first-mix", "users": 12, "stopped": "ended", "clean_stop": True},
        **{"ended": "2026-01-02T03:05:05+00:00", "templates": {"small": "0" * 64}},
        **{"load": {"users": 12, "arrivals": None, "stages": [], **length}},
        **{"series": "20260102T030405Z-ab12", "side": "checked", "turn": 1},
        **{"proxy_config": [copied], "workers": [worker | clock]},
    }


def make_study(path: Path, kind: Literal["scale", "capacity"]) -> Path:
    """Write the folder of a study, from the published one."""
    name = {"scale": "scale-out/scale.json", "capacity": "capacity/capacity.json"}[kind]
    path.mkdir(parents=True)
    (path / f"{kind}.json").write_text((PUBLISHED / name).read_text())
    return path


def _evidence(builder: Builder) -> None:
    at = {"at_ns": START_NS + 2_000_000_000, "ended_ns": START_NS + 9_000_000_000}
    fault = {"fault": {"part": "rest-1", "fault": "kill"}, **at, "healed_ns": START_NS + 8_000_000_000}
    visits = [{"source": f"127.0.0.{10 + i}", "server": f"rest-{1 + i % 2}"} for i in range(8)]
    calls = [{"consumer": f"c{i % 2}"} for i in range(12)]
    consumers = [{"id": "c0", "name": "engine-1"}, {"id": "c1", "name": "engine-2"}]
    good = Judgement(outcome=Outcome.PASS, why="It held.").model_dump(mode="json")
    builder.evidence("H2", {"trials": [trial()]}).evidence("faults", {"faults": [fault]})
    builder.evidence("visits-rest", {"apis": [{"api": "rest", "visits": visits}]})
    builder.evidence("E2", {"before": consumers, "deliveries": calls}).evidence("T1", good)
    builder.evidence("trace", _trace()).evidence("budget", record())


def _trace() -> dict[str, Any]:
    seen = {"kind": "deliver", "queue": "engine", "exchange": "", "routing_keys": ["engine"], "routed": []}
    rpc = {**seen, "connection": "127.0.0.1:1 -> 127.0.0.1:2", "channel": 1, "redelivered": False}
    names = {"method": "list_stacks", "request_id": "req-1", "msg_id": "m1", "unique_id": "u1"}
    events = [{"seq": 0, "t_ns": START_NS, **rpc, **names}]
    return {"events": events, "connections": [], "processes": {}, "hosts": {}, "doubts": []}


def _windows(seconds: int) -> list[dict[str, Any]]:
    lags = {"lag_p50_s": 0.0002, "lag_p99_s": 0.004, "lag_max_s": 0.006, "timed": 100, "late": 1}
    load = {"requests": 60, "response_p50_s": 0.03, "response_p99_s": 0.2, "users": 12, "connections": 12}
    return [
        {"t_ns": START_NS + (second + 1) * 1_000_000_000, "length_s": 1.0, "worker": "w0-0", **lags, **load,
         "cpu_share": 0.4, "why_invalid": "the generator used 95% of its core" if second == 3 else ""}
        for second in range(seconds)
    ]  # fmt: skip


def _stack(number: int) -> dict[str, Any]:
    return {
        **{"stack_id": f"s{number}", "name": f"s{number}", "api": "rest", "request_id": f"req-{number}"},
        **{"accepted_ns": START_NS + number * 10**9, "final_ns": START_NS + (number + 5) * 10**9},
        **{"final_state": "CREATE_COMPLETE", "deleted_ns": 0, "user": 1},
    }


def _action(number: int) -> dict[str, Any]:
    row = {**_stack(number), "operation": "update", "final_state": "UPDATE_COMPLETE"}
    return {name: row[name] for name in ACTION.names}
