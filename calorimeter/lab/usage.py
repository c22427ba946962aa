"""Processor time and memory of a lab's parts, and the versions of its programs."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import psutil

from calorimeter.core.host.machine import WHOLE_MACHINE
from calorimeter.lab import own_build, processes
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.lab_state import Lab

EVERY_S = 1.0


class Usage:
    """Processor seconds of each part. They never decrease: the time of processes that ended is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._used: dict[str, float] = {}
        self._last: dict[tuple[int, int], float] = {}

    def read(self) -> dict[str, Any]:
        """One poll: `t_ns`, and for each part `cpu_s` so far and `rss_bytes` now."""
        held: dict[str, int] = {}
        now: dict[tuple[int, int], float] = {}
        for process in processes.running(self._folder):
            with suppress(psutil.Error):
                known = psutil.Process(process.pid)
                times, memory = known.cpu_times(), known.memory_info()
                key = (process.pid, process.started_ticks)
                now[key] = times.user + times.system
                more = now[key] - self._last.get(key, 0.0)
                self._used[process.part] = self._used.get(process.part, 0.0) + more
                held[process.part] = held.get(process.part, 0) + memory.rss
        self._last |= now  # one that cannot be read once must not count anew
        rows = [
            {"part": part, "cpu_s": round(used, 3), "rss_bytes": held.get(part, 0)}
            for part, used in sorted(self._used.items())
        ]
        return {"t_ns": time.time_ns(), "processes": [*rows, _machine()]}


def _machine() -> dict[str, Any]:
    times, memory = psutil.cpu_times(), psutil.virtual_memory()
    # User time already includes the time of guests.
    busy = times.user + times.nice + times.system + times.irq + times.softirq
    return {"part": WHOLE_MACHINE, "cpu_s": round(busy, 3), "rss_bytes": memory.total - memory.available}


def polls(lab: Lab, closing: IO[str], every_s: float = EVERY_S) -> Iterator[dict[str, Any]]:
    """A poll every `every_s` seconds, and a last one when `closing` reaches its end."""
    usage = Usage(lab.folder)
    due = time.monotonic()
    while True:
        yield usage.read()
        due = max(due + every_s, time.monotonic())
        while (left_s := due - time.monotonic()) > 0:
            ready, _, _ = select.select([closing], [], [], left_s)
            if ready and not os.read(closing.fileno(), 4096):
                yield usage.read()
                return


def versions(lab: Lab) -> dict[str, str]:
    """The versions of the lab's programs, as far as they are known."""
    found = {"haproxy": haproxy.version(lab)}
    releases = {"heat": lab.topology.heat}
    releases |= {f"heat of {part}": release for part, release in lab.topology.releases.items()}
    packages = {name: (lab.programs.environment(each), "openstack_heat") for name, each in releases.items()}
    for name, (path, package) in {**packages, "keystone": (lab.programs.heat_venv, "keystone")}.items():
        for about in path.glob(f"lib/python3*/site-packages/{package}-*.dist-info"):
            found[name] = about.name.removesuffix(".dist-info").rpartition("-")[2]
    system = {"rabbitmq": "rabbitmq-server", "mariadb": "mariadb-server", "memcached": "memcached"}
    if lab.topology.keepalived_parts:
        system["keepalived"] = "keepalived"
    for name, package in system.items():
        if version := _of_package(package):
            found[name] = version
    if lab.topology.rabbitmq is not None:
        found["rabbitmq"] = own_build.version(lab.topology.rabbitmq, own_build.RABBITMQ)
    return found


@cache
def _of_package(package: str) -> str:
    """The version of an installed package of the system; empty if it is not known."""
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    with suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""
    return ""
