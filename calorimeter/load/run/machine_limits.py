"""Whether this machine has room for a load: checked before its first process and its first user start."""

from __future__ import annotations

from math import ceil
from pathlib import Path

from calorimeter.core import machine
from calorimeter.core.bounds import Bounds
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.load.operations import operation_table
from calorimeter.load.run.session import target
from calorimeter.workload.scenario import Scenario

PER_PROCESSOR = 4
"""Processes that generate load, for each processor: more would only wait for one another."""

SPARE_FILES = 100
"""Open files of a process beyond its users' connections."""

SPARE_PROCESSES = 16
PROCESS_BYTES = 120 * 2**20
USER_BYTES = 64 * 1024
"""Memory of a user with a connection: 57 kB were measured."""

SAMPLE_BYTES = 32
"""Bytes of a recorded request on disk (docs/reference/load.md)."""


def processes(allowed: int | None = None) -> Bounds:
    """How many processes may generate load: four a processor, or as many as the user allows."""
    cores = machine.processors()
    why = f"this machine has {cores} {'processor' if cores == 1 else 'processors'}; --allow-processes N"
    if allowed is not None:
        return Bounds(1, allowed, why="--allow-processes")
    return Bounds(1, PER_PROCESSOR * cores, why=f"{why} allows more")


def check_processes(number: int, allowed: int | None = None) -> None:
    """Raise InputError if so many processes are more than allowed, or than this machine can hold."""
    try:
        processes(allowed).check(number)
    except ValueError as problem:
        raise InputError("--processes", f"{number} given", str(problem)) from problem
    free, memory = machine.free_processes(), machine.free_memory()
    if free is not None and number + SPARE_PROCESSES > free:
        given = f"{number} given; this machine allows {free} more processes (ulimit -u, pids.max)"
        raise InputError("--processes", given, f"valid: up to {max(1, free - SPARE_PROCESSES)}")
    if memory is not None and number * PROCESS_BYTES > memory:
        given = f"{number} processes need {_mib(number * PROCESS_BYTES)}, {_mib(memory)} are free"
        raise InputError("--processes", given, f"valid: up to {memory // PROCESS_BYTES}")


def check(scenario: Scenario, deployment: Deployment, runs: Path, processes: int = 1) -> None:
    """Raise InputError if this machine lacks open files, ports, memory or disk space for a load."""
    apis = connections(scenario)
    _check_open_files(scenario.users, max(map(len, apis.values()), default=1), processes)
    _check_memory(scenario.users, processes)
    _check_ports(scenario, apis, deployment)
    _check_disk(scenario, runs)


def connections(scenario: Scenario) -> dict[str, set[str]]:
    """API → the APIs to which each of its users has a connection: its own, and that of signals."""
    loads = {api: load for api in ("rest", "cfn") if (load := scenario.load(api))}
    return {
        api: {api} | {operation_table.mixable(api)[name].api for name in load.mix}
        for api, load in loads.items()
    }


def _check_open_files(users: int, each: int, processes: int) -> None:
    most = machine.open_files()
    needed = ceil(users / processes) * each + SPARE_FILES
    if most is None or needed <= most:
        return
    fit = max(0, most - SPARE_FILES) // each
    given = f"{users} users in {_of(processes, 'process')} need {needed} open files in each, "
    given += f"the hard limit is {most}"
    more = f"--processes {ceil(users / fit)}, " if fit else ""
    valid = f"valid: up to {fit * processes} users, {more}or `ulimit -n {needed}` first, as root"
    raise InputError("users", given, valid)


def _check_memory(users: int, processes: int) -> None:
    free = machine.free_memory()
    needed = processes * PROCESS_BYTES + users * USER_BYTES
    if free is not None and needed > free:
        fit = max(0, free - processes * PROCESS_BYTES) // USER_BYTES
        given = f"{users} users in {_of(processes, 'process')} need {_mib(needed)}, {_mib(free)} are free"
        raise InputError("users", given, f"valid: up to {fit} users, or more machines (locust --worker)")


def _check_ports(scenario: Scenario, apis: dict[str, set[str]], deployment: Deployment) -> None:
    ports = machine.local_ports()
    weights = {api: load.users for api in apis if (load := scenario.load(api))}
    for api in sorted(set().union(*apis.values())):
        share = sum(weights[of] for of, to in apis.items() if api in to) / sum(weights.values())
        sources = max(1, len(target(deployment, api)[1]))
        connections = ceil(scenario.users * share)
        if ports is None or ceil(connections / sources) <= ports:
            continue
        needed = ceil(connections / sources)
        given = f"{connections} connections to {api} from {_of(sources, 'source address')} need {needed} "
        given += f"local ports of each, the kernel has {ports} (net.ipv4.ip_local_port_range)"
        valid = (
            f"valid: up to {int(ports * sources / share)} users, or {ceil(connections / ports)} addresses"
        )
        raise InputError("users", given, f"{valid} in clients.sources")


def _check_disk(scenario: Scenario, runs: Path) -> None:
    arrivals = sum(_arrivals(scenario))
    free = machine.free_disk(runs)
    if free is not None and arrivals * SAMPLE_BYTES > free:
        given = (
            f"{arrivals:.0f} arrivals in {scenario.duration_s:g} s need {_mib(arrivals * SAMPLE_BYTES)} "
        )
        given += f"at {runs}, {_mib(free)} are free"
        raise InputError("rate", given, "valid: a lower rate, a shorter load, or another --runs folder")


def _arrivals(scenario: Scenario) -> list[float]:
    counts, before = [], 0.0
    for stage in scenario.rates:
        begin = before if stage.ramp else stage.level
        counts.append((begin + stage.level) / 2 * stage.duration_s)
        before = stage.level
    return counts


def _of(count: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{count} {what}{'' if count == 1 else plural}"


def _mib(size: float) -> str:
    return f"{size / 2**20:,.0f} MiB"
