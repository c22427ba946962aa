"""`[[engines]]` of a deployment file: the heat-engine processes that are expected on the broker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import model_validator

from calorimeter.core import bounds
from calorimeter.core.toml import Model, Name

OLD_TABLE = "[engines] names = […] is read as [[engines]] hosts = […]; new there: processes of one host"


Processes = Annotated[int, bounds.PROCESSES]


class EngineGroup(Model):
    """Engines of one host (`host`), or of each of several (`hosts`).

    A host is the name under which its engines consume from the queue: Heat's option `host`, or the
    machine's own name. `processes` heat-engine processes share it, each with `workers` worker processes
    (`num_engine_workers`).
    """

    host: Name | None = None
    hosts: tuple[Name, ...] = ()
    processes: Processes = 1
    workers: Processes = 1

    @model_validator(mode="after")
    def _named(self) -> EngineGroup:
        if (self.host is None) == (not self.hosts):
            raise ValueError('give host = "NAME", or hosts = ["NAME", …]')
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its hosts."""
        return self.hosts or (self.host or "",)

    def __str__(self) -> str:
        times = f"{self.processes} × " if self.processes > 1 else ""
        unit = "worker" if self.workers == 1 else "workers"
        each = " each" if len(self.names) > 1 else ""
        return f"{', '.join(self.names)}: {times}{self.workers} {unit}{each}"


def consumers(groups: Iterable[EngineGroup]) -> dict[str, int]:
    """Host → consumers of the queue `engine` that its engines have together."""
    return {host: sum(each) for host, each in sizes(groups).items()}


def sizes(groups: Iterable[EngineGroup]) -> dict[str, tuple[int, ...]]:
    """Host → the number of consumers of the queue `engine` of each of its heat-engine processes."""
    found: dict[str, tuple[int, ...]] = {}
    for group in groups:
        for name in group.names:
            found[name] = (*found.get(name, ()), *[group.workers] * group.processes)
    return found


def processes(groups: Iterable[EngineGroup]) -> int:
    """The number of heat-engine processes."""
    return sum(len(group.names) * group.processes for group in groups)


def renewed(tree: dict[str, Any]) -> Iterator[str]:
    """Rewrite the table `[engines]` of older files in a deployment file; yield a line if it was there."""
    old = tree.get("engines")
    if isinstance(old, dict):
        if "names" in old:
            old["hosts"] = old.pop("names")
        tree["engines"] = [old]
        yield OLD_TABLE
