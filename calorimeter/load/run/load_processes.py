"""How many processes may generate load on this machine. This module is quick to import."""

from __future__ import annotations

from calorimeter.core.bounds import Bounds
from calorimeter.core.errors import InputError
from calorimeter.core.host import machine

PER_PROCESSOR = 4
"""Processes that generate load, for each processor: more would only wait for one another."""

SPARE = 16
"""Processes that a load leaves to others."""

PROCESS_BYTES = 120 * 2**20
"""Memory of a process without users: 109 MB were measured."""


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
    if free is not None and number + SPARE > free:
        given = f"{number} given; this machine allows {free} more processes (ulimit -u, pids.max)"
        raise InputError("--processes", given, f"valid: up to {max(1, free - SPARE)}")
    if memory is not None and number * PROCESS_BYTES > memory:
        given = f"{number} processes need {mib(number * PROCESS_BYTES)}, {mib(memory)} are free"
        raise InputError("--processes", given, f"valid: up to {memory // PROCESS_BYTES}")


def mib(size: float) -> str:
    """A size in MiB, as messages show it."""
    return f"{size / 2**20:,.0f} MiB"
