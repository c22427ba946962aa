"""The use of this machine by other processes during a benchmark; the less, the better its figures."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _machine_s() -> tuple[float, float]:
    """Seconds that all cores were busy since boot, and that the host gave to others (steal); see proc(5).

    Kernel work for any process's packets counts as busy.
    """
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _waiting, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


class OtherProcesses:
    """Measures from its creation on. Children that still run count as other processes."""

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._before = time.monotonic(), own_s(), _machine_s()

    def shares(self) -> tuple[float, float]:
        """The share of the machine that other processes used, and the share that its host took (steal)."""
        began, own, (busy, stolen) = self._before
        busy_now, stolen_now = _machine_s()
        whole = (time.monotonic() - began) * self._cores
        others = (busy_now - busy) - (own_s() - own)
        return max(0.0, others) / whole, (stolen_now - stolen) / whole
