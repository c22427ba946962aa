"""How the parts of a lab stand."""

from __future__ import annotations

from typing import Any

from calorimeter.lab import parts, processes, topology
from calorimeter.lab.processes import Process
from calorimeter.lab.topology import Lab


def of(name: str) -> dict[str, Any]:
    """Name, addresses and parts of a lab, ready for JSON."""
    lab = topology.opened(name)
    running = processes.running(lab.folder)
    return {
        "name": name,
        "rest": f"{lab.url('rest')}/v1",
        "cfn": f"{lab.url('cfn')}/v1",
        "deployment": str(lab.deployment) if lab.deployment.exists() else None,
        "parts": [_part(lab, part, [p for p in running if p.part == part]) for part in lab.topology.parts],
    }


def _part(lab: Lab, part: str, found: list[Process]) -> dict[str, Any]:
    port_of = {"rabbitmq": "amqp", "proxy": "rest"}.get(part, part)
    pids = sorted(process.pid for process in found)
    address = lab.address(port_of) if port_of in lab.topology.ports else None
    return {"name": part, "state": parts.state(found), "pids": pids, "address": address}


def table(standing: dict[str, Any]) -> str:
    """The same for people."""
    lines = [
        f"lab {standing['name']}",
        f"  REST        {standing['rest']}",
        f"  CFN         {standing['cfn']}",
        f"  deployment  {standing['deployment'] or 'not written: the lab is not up'}",
    ]
    for part in standing["parts"]:
        pids = " ".join(str(pid) for pid in part["pids"])
        lines.append(f"  {part['name']:<11} {part['state']:<8} {part['address'] or '':<16} {pids}")
    return "\n".join(lines)
