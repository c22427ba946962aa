"""One round of one side: a lab up, its start-up, memory, loads and engines measured, and the lab down."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from calorimeter.core import deployment as deployments
from calorimeter.core import paths, statistics, waiting
from calorimeter.core.bounds import is_digits
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import DeadlineError
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.service_level import counted_samples
from calorimeter.gates.service_level.objectives import ServedOperation, not_the_bottleneck
from calorimeter.gates.service_level.recorded_load import generator_of
from calorimeter.lab import lab_state, parts, status
from calorimeter.lab.usage import Usage
from calorimeter.report.tables import watch_files
from calorimeter.studies import load_process
from calorimeter.studies.guide_comparison import lab
from calorimeter.studies.releases import engines_of_actions
from calorimeter.studies.releases.release_rounds import MeasuredLoad, PartMemory, ReleaseRound
from calorimeter.studies.releases.release_sides import EQUAL, ROUND_LOADS, STACKS, ReleaseSide, RoundLoad
from calorimeter.studies.scale_result import ProcessorUse
from calorimeter.studies.scale_study import completed_stacks, processor_used

STARTED = ("rest-1", "engine-1")
"""The parts whose start-up is timed: killed and started again, while nothing else loads."""

SERVES_S = 60.0
"""How long the front may take to serve again after that."""

FIRST_CALLS = 6
"""Calls before memory is read, so that each engine has answered some."""

IDLE_S = 5.0

OPERATIONS = ("*", "rest.list", "rest.show", "rest.create")
"""What response times are kept of, under equal load."""

PERCENTS = {"p50": 50.0, "p99": 99.0}


def measured_round(
    side: ReleaseSide, turn: int, name: str, runs: Path, rate_per_s: float, say: Callable[[str], object]
) -> ReleaseRound:
    """Measure one round on a lab of its own, called `name`; a lab of that name, and a load of a study
    that was killed, are ended first.

    Raises `InputError` if the lab or a load fails, `EvidenceUnavailable` if something cannot be seen. The
    lab is taken down in any case.
    """
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
    load_average = os.getloadavg()[0]
    load_process.end_orphans(runs)
    lab("down", "--name", name)
    try:
        lab("up", "--name", name, *side.words)
        say(f"  {time.monotonic() - began:5.1f} s  the lab serves")
        found = _measured(name, runs, rate_per_s, say, began)
    finally:
        lab("down", "--name", name)
    return ReleaseRound(
        turn=turn,
        side=side.name,
        started=started,
        took_s=round(time.monotonic() - began, 1),
        load_average=(round(load_average, 2), round(os.getloadavg()[0], 2)),
        **found,
    )


def _measured(
    name: str, runs: Path, rate_per_s: float, say: Callable[[str], object], began: float
) -> dict[str, Any]:
    file = paths.lab(name) / "deployment.toml"
    deployment = deployments.read(file)
    start_s = {part.partition("-")[0]: _started_again(name, part) for part in STARTED}
    client = HeatClient(Context(deployment, Settings()), sources=1)
    _await_service(client)
    idle_used, idle_s = _idle(name)
    memory_idle = memory_of(status.status(name)["parts"])
    say(f"  {time.monotonic() - began:5.1f} s  start-up and memory read; loads follow")
    loads = []
    for load in ROUND_LOADS:
        rate, users = (rate_per_s, in_flight(rate_per_s)) if load is EQUAL else (None, None)
        words = load_process.words_of(str(load.scenario), file, runs, rate_per_s=rate, users=users)
        loads.append(measured_load(RunDir.open(load_process.load(words)), load))
        say(f"  {time.monotonic() - began:5.1f} s  {load.name}: {loads[-1].done} × {load.unit}")
    found = status.status(name)
    memory_loaded = memory_of(found["parts"])
    engines = engines_of_actions.measured(deployment, client)
    client.close()
    return {
        "versions": _versions(deployment, found["parts"]),
        "start_s": start_s,
        "idle_s": idle_s,
        "idle_used": idle_used,
        "memory_idle": memory_idle,
        "memory_loaded": memory_loaded,
        "loads": tuple(loads),
        "engines": engines,
    }


def in_flight(rate_per_s: float) -> int:
    """The most requests in flight at a rate: those of a second, four at least.

    Each has a stack of its own, and lists take longer the more stacks there are.
    """
    return max(4, math.ceil(rate_per_s))


def _started_again(name: str, part: str) -> float:
    """The time from the launch of a part until it serves, in seconds."""
    opened = lab_state.open_lab(name)
    parts.act(opened, part, "kill")
    launched = time.monotonic()
    parts.act(opened, part, "start")
    return round(time.monotonic() - launched, 3)


def _await_service(client: HeatClient) -> None:
    try:
        for _ in range(FIRST_CALLS):
            waiting.until(lambda: client.list_stacks().ok, SERVES_S, every_s=0.25)
    except DeadlineError as problem:
        late = f"did not serve within {SERVES_S:g} s after its start-up was timed"
        raise InputError("the lab", late) from problem


def _idle(name: str) -> tuple[tuple[ProcessorUse, ...], float]:
    """Processor time of each kind of part while nothing is asked of them, and for how long that was."""
    usage = Usage(paths.lab(name))
    polls = [usage.read()]
    time.sleep(IDLE_S)  # the time itself is what is measured
    polls.append(usage.read())
    rows = [{"t_ns": poll["t_ns"], **part} for poll in polls for part in poll["processes"]]
    span = Span(polls[0]["t_ns"], polls[-1]["t_ns"])
    return tuple(processor_used(pd.DataFrame(rows), span)), round(span.length_s, 3)


def memory_of(found: Iterable[Mapping[str, Any]]) -> tuple[PartMemory, ...]:
    """The memory of each kind of part, from the parts of `lab status`."""
    held: dict[str, list[int]] = {}
    for part in found:
        held.setdefault(_kind(part["name"]), []).append(part["memory_bytes"])
    return tuple(
        PartMemory(kind=kind, parts=len(some), bytes=round(sum(some) / len(some)))
        for kind, some in sorted(held.items())
    )


def _kind(part: str) -> str:
    head, _, number = part.rpartition("-")
    return head if head and is_digits(number) else part


def _versions(deployment: Deployment, found: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    versions = {_kind(part["name"]): str(part["version"]) for part in found if part["version"]}
    return {**versions, "deployment": deployment.name}


def measured_load(run: RunDir, load: RoundLoad) -> MeasuredLoad:
    """What a recorded load of a round shows. Raises `EvidenceUnavailable` if it holds no samples."""
    counted = counted_samples.read(run)
    part = counted.part
    served = counted.served(OPERATIONS)
    everything = served[0]
    return MeasuredLoad(
        load=load.name,
        window_s=round(part.length_s, 3) if part else 0.0,
        done=completed_stacks(run, part) if load is STACKS else everything.ok,
        requests=everything.requests,
        failed=everything.requests - everything.ok,
        response_ms=dict(item for each in served for item in _percentiles(each)) if load is EQUAL else {},
        used=tuple(processor_used(watch_files.read(run).processes, part)),
        generator=not_the_bottleneck(generator_of(run)),
    )


def _percentiles(served: ServedOperation) -> Iterable[tuple[str, float]]:
    """Percentiles that enough samples show: `list p50` → ms."""
    name = "all" if served.operation == "*" else served.operation.partition(".")[2]
    for label, percent in PERCENTS.items():
        if served.ok >= statistics.samples_needed(percent) and label in served.response_ms:
            yield f"{name} {label}", served.response_ms[label]
