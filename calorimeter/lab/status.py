"""The state of a lab's parts."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil

from calorimeter.lab import lab_state, parts, processes, usage
from calorimeter.lab.daemons import heat, keepalived
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.processes import LabProcess

COLUMNS = ("PART", "STATE", "PID", "ADDRESS", "VERSION", "MEMORY")

_PROGRAMS = {"rest": "heat", "cfn": "heat", "engine": "heat", "proxy": "haproxy"}
"""Kind of a part → its program's name among the versions; others are called as their program."""


def status(name: str) -> dict[str, Any]:
    """Name, addresses and parts of a lab as a JSON-ready tree.

    `holders` are the proxies of a pair that have the virtual address. A part's `memory_bytes` is its share
    of the machine's memory: a page that processes share is counted in parts.
    """
    lab = lab_state.open_lab(name)
    running = processes.running(lab.folder)
    versions = usage.versions(lab)
    return {
        "name": name,
        "rest": f"{lab.url('rest')}/v1",
        "cfn": f"{lab.url('cfn')}/v1",
        "deployment": str(lab.deployment) if lab.deployment.exists() else None,
        "holders": list(keepalived.holders(lab)),
        "parts": [
            _part(lab, part, [each for each in running if each.part == part], versions)
            for part in lab.topology.parts
        ],
    }


def _part(lab: Lab, part: str, found: list[LabProcess], versions: dict[str, str]) -> dict[str, Any]:
    kind = heat.kind(part)
    program = _PROGRAMS.get(kind, kind)
    return {
        "name": part,
        "state": parts.state(found),
        "pids": sorted(process.pid for process in found),
        "address": _address(lab, part),
        "version": versions.get(f"{program} of {part}") or versions.get(program),
        "memory_bytes": sum(_memory(process.pid) for process in found),
    }


def _address(lab: Lab, part: str) -> str | None:
    topology = lab.topology
    brokers = dict(zip(topology.broker_parts, topology.broker_ports("amqp"), strict=True))
    port = {**brokers, "proxy": "rest"}.get(part, part)
    if port in topology.ports:
        return lab.address(port)
    return lab.host(part) if lab.layout else None


def _memory(pid: int) -> int:
    """The proportional set size of a process in bytes; 0 if it has ended."""
    with suppress(psutil.Error):
        return int(psutil.Process(pid).memory_full_info().pss)
    return 0


def table(found: dict[str, Any]) -> str:
    """The status as text."""
    lines = [
        f"lab {found['name']}",
        f"  REST        {found['rest']}",
        f"  CFN         {found['cfn']}",
        f"  deployment  {found['deployment'] or 'not written: the lab is not up'}",
    ]
    if any(part["name"] == "proxy-1" for part in found["parts"]):
        lines.append(f"  address     at {' and '.join(found['holders']) or 'no proxy'}")
    rows = [COLUMNS, *(_row(part) for part in found["parts"])]
    total = sum(part["memory_bytes"] for part in found["parts"])
    rows.append(("all", "", "", "", "", _mebibytes(total)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, memory in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        lines.append(f"  {line}  {memory.rjust(widths[-1])}")
    return "\n".join(lines)


def _row(part: dict[str, Any]) -> tuple[str, ...]:
    first, *others = part["pids"] or ("",)
    pid = f"{first} +{len(others)}" if others else str(first)
    address, version = part["address"] or "", part["version"] or ""
    return (part["name"], part["state"], pid, address, version, _mebibytes(part["memory_bytes"]))


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
