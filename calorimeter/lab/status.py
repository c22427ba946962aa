"""The state of a lab's parts."""

from __future__ import annotations

from typing import Any

from calorimeter.lab import lab_state, parts, processes
from calorimeter.lab.daemons import keepalived
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.processes import LabProcess


def status(name: str) -> dict[str, Any]:
    """Name, addresses and parts of a lab as a JSON-ready tree.

    `holders` are the proxies of a pair that have the virtual address.
    """
    lab = lab_state.open_lab(name)
    running = processes.running(lab.folder)
    return {
        "name": name,
        "rest": f"{lab.url('rest')}/v1",
        "cfn": f"{lab.url('cfn')}/v1",
        "deployment": str(lab.deployment) if lab.deployment.exists() else None,
        "holders": list(keepalived.holders(lab)),
        "parts": [_part(lab, part, [p for p in running if p.part == part]) for part in lab.topology.parts],
    }


def _part(lab: Lab, part: str, found: list[LabProcess]) -> dict[str, Any]:
    amqp = dict(zip(lab.topology.broker_parts, lab.topology.broker_ports("amqp"), strict=True))
    port_of = {**amqp, "proxy": "rest"}.get(part, part)
    pids = sorted(process.pid for process in found)
    address = lab.address(port_of) if port_of in lab.topology.ports else None
    if lab.layout and address is None:
        address = lab.host(part)
    return {"name": part, "state": parts.state(found), "pids": pids, "address": address}


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
    for part in found["parts"]:
        pids = " ".join(str(pid) for pid in part["pids"])
        lines.append(f"  {part['name']:<11} {part['state']:<8} {part['address'] or '':<16} {pids}")
    return "\n".join(lines)
