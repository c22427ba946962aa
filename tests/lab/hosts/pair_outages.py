"""What clients of a pair of proxies see when something of it breaks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from calorimeter.core.waiting import until
from calorimeter.lab import lab_state
from calorimeter.lab.daemons import haproxy
from tests.conftest import lab_command
from tests.places import PROGRAMS

FRONT = "10.0.0.250"
LONGEST_S = 90
ANSWERED_S = 3.0
"""How long the client waits for an answer."""
QUICK_S = 0.9
"""Longer than a refusal takes, and shorter than a lost packet, which is sent again after a second."""


@dataclass(frozen=True)
class Outage:
    """What a client saw that connects every 20 ms after an event.

    `lasted_s`: when the last connection began that failed. `ended`: connections that were
    refused, or ended without an answer, at once.
    """

    lasted_s: float
    ended: int
    statuses: frozenset[int]


BROKEN = (
    ("proxy", "kill", "start", 5.0),
    ("proxy", "freeze", "thaw", 8.0),
    ("P", "unreachable", "reachable", 5.0),
    ("keepalived", "stop", "start", 3.0),
)
"""Part beside the address, its fault, what heals it, and how many seconds clients may notice it."""


def holders(name: str) -> list[str]:
    """The proxies that hold the virtual address, by `lab status`."""
    found: list[dict[str, Any]] = json.loads(lab_command("status", "--name", name, "--json").stdout)
    return list(found[0]["holders"])


def holder(name: str) -> str:
    """The number of the proxy that holds the address alone."""
    until(lambda: len(holders(name)) == 1, 20)
    return holders(name)[0].removeprefix("proxy-")


def act(name: str, part: str, action: str) -> int:
    """Apply an action; when it took effect (ns since the epoch)."""
    done = lab_command("part", "--name", name, part, action)
    assert done.returncode == 0, done.stderr
    found = re.search(r"at_ns=(\d+)", done.stdout)
    assert found
    return int(found[1])


def outage(name: str, event: Callable[[], int], seconds: float = 9.0) -> Outage:
    """Make an event happen while a client connects, and what it saw in so many seconds from then on."""
    client = ("--host", "client-1", "--", sys.executable, str(PROGRAMS / "connect_steadily.py"))
    words = ("exec", "--name", name, *client, FRONT, "8004", str(LONGEST_S))
    command = [sys.executable, "-m", "calorimeter", "lab", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline()  # it connects
        at_ns = event()
        end_ns = at_ns + int(seconds * 1e9)
        found = []
        for line in running.stdout:
            began, status, took = line.split()
            found.append((int(began), int(status), float(took)))
            if int(began) > end_ns + ANSWERED_S * 1e9:  # all that began before the end are in
                break
        running.terminate()
    assert found[-1][0] > end_ns
    seen = [each for each in found if at_ns < each[0] < end_ns]
    failed = [began for began, status, _ in seen if status != 300]
    lasted_s = (max(failed) - at_ns) / 1e9 if failed else 0.0
    ended = sum(status == 0 and took < QUICK_S for _, status, took in seen)
    return Outage(lasted_s, ended, frozenset(status for _, status, _ in seen))


def all_up(name: str, proxy: str) -> bool:
    """Whether all servers of a proxy are UP."""
    lab = lab_state.open_lab(name)
    rows = [line.split(",") for line in haproxy.command(lab, "show stat", proxy).splitlines()[1:] if line]
    servers = [row[17] for row in rows if row[1] not in ("FRONTEND", "BACKEND")]
    return len(servers) == 4 and all(status.startswith("UP") for status in servers)
