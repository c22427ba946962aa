"""The plan of a round of `bin/soak healing`, and the ways in which a process of ours meets misfortune."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import product

import psutil

from tests.soak.struck_work import Work

WORKS = ("gates", "load", "two-processes", "trace")
VICTIMS = {
    "gates": ("suite", "guardian", "suite+guardian", "all"),
    "load": ("suite", "load", "watch", "guardian", "suite+guardian", "all"),
    "two-processes": ("suite", "load", "worker", "watch", "guardian", "all"),
    "trace": ("suite", "load", "guardian", "suite+guardian", "all"),
}
"""What runs → whom misfortune strikes; `load` is Locust's process (the master), `all` are all at once."""

OF_THE_MACHINE = ("disk", "clock", "namespace")
"""Misfortunes that strike the machine and no single process."""

AT_ONCE = 0.2
"""Share of rounds whose moment is counted from the start, not from the first record or fault."""

LONGEST_S = 5.0
STOPPED_S = 2.0


@dataclass(frozen=True, slots=True)
class Round:
    """The plan of a round, drawn at random before it."""

    work: str
    misfortune: str
    victim: str
    at_once: bool
    moment_s: float
    second_s: float
    gates: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.misfortune} of {self.victim} of {self.work}"


def drawn(seed: int, possible: tuple[str, ...], gates: tuple[str, ...]) -> Iterator[Round]:
    """Rounds without end: every pair of work and misfortune equally often, all else at random."""
    rng = random.Random(seed)
    pairs = list(product(WORKS, possible))
    while True:
        rng.shuffle(pairs)
        yield from [_round(rng, work, misfortune, gates) for work, misfortune in pairs]


def _round(rng: random.Random, work: str, misfortune: str, gates: tuple[str, ...]) -> Round:
    return Round(
        work=work,
        misfortune=misfortune,
        victim="machine" if misfortune in OF_THE_MACHINE else rng.choice(VICTIMS[work]),
        at_once=rng.random() < AT_ONCE,
        moment_s=rng.uniform(0, LONGEST_S),
        second_s=rng.uniform(0, STOPPED_S),
        gates=tuple(sorted(rng.sample(gates, 1))),
    )


Strike = Callable[[Work, list[psutil.Process], Round], None]


def _signal(signum: signal.Signals) -> Strike:
    def strike(work: Work, victims: list[psutil.Process], planned: Round) -> None:
        for victim in victims:
            with suppress(psutil.Error):
                victim.send_signal(signum)

    return strike


def _stop_then(signum: signal.Signals) -> Strike:
    """SIGSTOP for a while; a guardian's suite gets SIGTERM meanwhile, so that it is needed."""

    def strike(work: Work, victims: list[psutil.Process], planned: Round) -> None:
        _signal(signal.SIGSTOP)(work, victims, planned)
        if planned.victim == "guardian":
            work.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            work.process.wait(planned.second_s)
        _signal(signum)(work, victims, planned)

    return strike


def _out_of_descriptors(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """No descriptor beyond those that are open, or up to two."""
    for victim in victims:
        with suppress(psutil.Error, OSError, ValueError):
            number = max(int(name) for name in os.listdir(f"/proc/{victim.pid}/fd")) + 1  # noqa: PTH208
            limit = number + int(planned.second_s)
            _, most = resource.prlimit(victim.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(victim.pid, resource.RLIMIT_NOFILE, (limit, most))


def _out_of_memory(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """No memory beyond what is mapped, but a few MB."""
    for victim in victims:
        with suppress(psutil.Error, OSError, ValueError):
            limit = victim.memory_info().vms + int(planned.second_s * 2**21)
            _, most = resource.prlimit(victim.pid, resource.RLIMIT_AS)
            resource.prlimit(victim.pid, resource.RLIMIT_AS, (limit, most))


def _killed_for_memory(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """The kernel kills a process that exceeds the limit of its control group."""
    assert work.group is not None
    work.group.limit([victim.pid for victim in victims])


def _full_disk(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """Neither runs nor state have a byte left, until the work has ended."""
    work.disk.fill()


def _clock_step(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """The wall clock of all its processes steps by up to two hours, forth or back."""
    assert work.clock is not None
    work.clock.step(round((planned.second_s - STOPPED_S / 2) * 7200))


def _no_namespace(work: Work, victims: list[psutil.Process], planned: Round) -> None:
    """The name of the client host's namespace goes; what runs in it stays there."""
    assert work.namespace is not None
    subprocess.run(["ip", "netns", "delete", work.namespace], check=False, capture_output=True)


STRIKES: dict[str, Strike] = {
    "SIGKILL": _signal(signal.SIGKILL),
    "SIGTERM": _signal(signal.SIGTERM),
    "SIGINT": _signal(signal.SIGINT),
    "SIGSTOP, SIGCONT": _stop_then(signal.SIGCONT),
    "SIGSTOP, SIGKILL": _stop_then(signal.SIGKILL),
    "descriptors": _out_of_descriptors,
    "memory": _out_of_memory,
    "out-of-memory kill": _killed_for_memory,
    "disk": _full_disk,
    "clock": _clock_step,
    "namespace": _no_namespace,
}
"""Misfortune → how it strikes."""


def victims(work: Work, planned: Round) -> list[psutil.Process]:
    """The living processes that a round strikes; those of a machine's misfortune are none."""
    found = work.processes()
    wanted = planned.victim.split("+")
    chosen = []
    for process in found:
        with suppress(psutil.Error):
            role = work.role(process)
            if "all" in wanted or role in wanted:
                chosen.append(process)
    return chosen
