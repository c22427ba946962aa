"""Whether this machine has room for a load: checked before its first process and its first user start."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.host import machine
from calorimeter.load.operations import operation_table
from calorimeter.load.run.load_processes import PROCESS_BYTES, mib
from calorimeter.workload.scenario import Scenario

SPARE_FILES = 100
"""Open files of a process beyond its users' connections."""

USER_BYTES = 64 * 1024
"""Memory of a user with a connection: 57 kB were measured."""

SAMPLE_BYTES = 32
"""Bytes of a recorded request on disk (docs/reference/load.md)."""


def check(scenario: Scenario, sources: Mapping[str, int], runs: Path, processes: int = 1) -> None:
    """Raise InputError if this machine lacks open files, ports, memory or disk space for a load.

    `sources` is the number of source addresses that can reach each API.
    """
    apis = connections(scenario)
    _check_open_files(scenario.users, max(map(len, apis.values()), default=1), processes)
    _check_memory(scenario.users, processes)
    _check_ports(scenario, apis, sources)
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
        given = f"{users} users in {_of(processes, 'process')} need {mib(needed)}, {mib(free)} are free"
        raise InputError("users", given, f"valid: up to {fit} users, or more machines (locust --worker)")


def _check_ports(scenario: Scenario, apis: dict[str, set[str]], sources: Mapping[str, int]) -> None:
    ports = machine.local_ports()
    weights = {api: load.users for api in apis if (load := scenario.load(api))}
    for api in sorted(set().union(*apis.values())):
        share = sum(weights[of] for of, to in apis.items() if api in to) / sum(weights.values())
        addresses = max(1, sources[api])
        connections = ceil(scenario.users * share)
        if ports is None or ceil(connections / addresses) <= ports:
            continue
        needed = ceil(connections / addresses)
        given = f"{connections} connections to {api} from {_of(addresses, 'source address')} need {needed} "
        given += f"local ports of each, the kernel has {ports} (net.ipv4.ip_local_port_range)"
        valid = (
            f"valid: up to {int(ports * addresses / share)} users, or {ceil(connections / ports)} addresses"
        )
        raise InputError("users", given, f"{valid} in clients.sources")


def _check_disk(scenario: Scenario, runs: Path) -> None:
    arrivals = sum(_arrivals(scenario))
    free = machine.free_disk(runs)
    if free is not None and arrivals * SAMPLE_BYTES > free:
        given = f"{arrivals:.0f} arrivals in {scenario.duration_s:g} s need {mib(arrivals * SAMPLE_BYTES)} "
        given += f"at {runs}, {mib(free)} are free"
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
