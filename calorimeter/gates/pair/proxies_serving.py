"""Which of several proxies serves the clients of a virtual address: by their counters, and by the addresses
of their hosts."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence

from calorimeter.core.control.controlled_part import Part
from calorimeter.core.deployment import Deployment
from calorimeter.core.faults.shell_command import COMMAND_S
from calorimeter.gates.evidence.stats_sources import ProxyStats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.pair.pair_trial import Holding, Served
from calorimeter.gates.repeated_work import RepeatedWork

POLL_EVERY_S = 0.04


class ServedCounters(RepeatedWork):
    """The connections that one proxy has had in some sections, polled in a thread while this is entered.

    `served` are the rises. A proxy that cannot be read (its host is off) is polled on; one that started
    again counts from zero.
    """

    def __init__(self, stats: ProxyStats, sections: Sequence[str]) -> None:
        super().__init__(f"counters of {stats.name}", POLL_EVERY_S, self.poll)
        self.name = stats.name
        self.served: list[Served] = []
        self._stats = stats
        self._sections = frozenset(sections)
        self._before: tuple[int, int] | None = None

    def poll(self) -> None:
        """Poll once."""
        asked_ns = time.time_ns()
        try:
            rows = self._stats.show_stat()
        except EvidenceUnavailable:
            return
        count = sum(
            row.stot or 0 for row in rows if row.kind == "backend" and row.section in self._sections
        )
        if self._before is not None:
            before_ns, before = self._before
            new = count - before if count >= before else count
            if new:
                self.served.append(
                    Served(proxy=self.name, since_ns=before_ns, seen_ns=time.time_ns(), connections=new)
                )
        self._before = asked_ns, count


def parts_of(deployment: Deployment, proxy: str, kind: str) -> list[Part]:
    """The parts of a kind that belong to a proxy: the proxy itself, its keepalived, its host."""
    return [p for p in deployment.parts if p.kind == kind and proxy in (p.name, p.proxy)]


def address_commands(deployment: Deployment) -> dict[str, str]:
    """Proxy → the owner's command that prints the addresses of its host, if it has one."""
    found = {}
    for proxy in deployment.proxy:
        own = (part for part in deployment.parts if proxy.name in (part.name, part.proxy))
        command = next((part.addresses for part in own if part.addresses), None)
        if command:
            found[proxy.name] = command
    return found


def holdings(commands: dict[str, str], address: str) -> list[Holding]:
    """Ask each proxy's host whether it has the address. A command that fails says nothing."""
    return [
        Holding(proxy=proxy, at_ns=time.time_ns(), holds=printed_address(text, address))
        for proxy, command in commands.items()
        if (text := _printed(command)) is not None
    ]


def printed_address(text: str, address: str) -> bool:
    """Whether a list of addresses (`ip -o address`) has this one, whatever its prefix."""
    return address in re.split(r"[\s/]+", text)


def _printed(command: str) -> str | None:
    try:
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, timeout=COMMAND_S, check=False, text=True,
            errors="replace",
        )  # fmt: skip
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
