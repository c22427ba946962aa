"""Describes the engines: the hosts whose names they have on the broker, their processes and workers."""

from __future__ import annotations

from collections import Counter

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.describe.gathered import Gathered
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.core import bounds
from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted


def engines(subject: AuditedFiles, answers: Answers, gathered: Gathered) -> tuple[EngineGroup, ...]:
    """The engines of the Heat files, or those that the owner names; hosts that are alike are one group.

    Raises InputError if a named engine cannot be read (see `named_engine`).
    """
    confs = subject.engines
    named = dict(named_engine(text) for text in answers.engines)
    found = Counter(broker_name(conf) for conf in confs)
    processes = {name: count or found[name] or 1 for name, count in named.items()} if named else dict(found)
    if not processes:
        gathered.lacks("engines", "the hosts that run heat-engine", "--engine HOST")
        return ()
    groups: dict[tuple[int, int], list[str]] = {}
    unsaid: list[str] = []
    for name, count in processes.items():
        workers = answers.engine_workers or _workers(name, confs)
        if workers is None:
            unsaid.append(name)
        groups.setdefault((count, workers or 1), []).append(name)
    if unsaid:
        gathered.lacks(
            "engines.workers",
            f"workers of each heat-engine on {', '.join(unsaid)} (num_engine_workers is 0 or not set, so "
            "Heat takes the number of processors, at least 4; or it differs between the files of a host)",
            "--engine-workers N",
        )
    return tuple(
        EngineGroup(
            host=names[0] if len(names) == 1 else None,
            hosts=tuple(names) if len(names) > 1 else (),
            processes=count,
            workers=workers,
        )
        for (count, workers), names in groups.items()
    )


def named_engine(text: str) -> tuple[str, int | None]:
    """(host, processes or None) of `HOST` or `HOST=PROCESSES`. Raises InputError if it is neither."""
    host, equals, count = text.partition("=")
    try:
        if host.strip():
            return host, bounds.PROCESSES.parse(count) if equals else None
    except ValueError:
        pass
    valid = f"valid: HOST, or HOST=PROCESSES with {bounds.PROCESSES.range.replace('..', ' to ')}"
    raise InputError("--engine", f"{quoted(text)} given", valid)


def broker_name(conf: HeatProcessConf) -> str:
    """The name of an engine on the broker: the option `host`, else the machine's."""
    value = conf.get("host")
    return value.text.strip() if value and value.text.strip() and not value.unresolved else conf.host


def _workers(name: str, confs: tuple[HeatProcessConf, ...]) -> int | None:
    """The workers of each engine of a host; None if they are not said, or differ."""
    counts = {conf.engine_workers for conf in confs if name in (broker_name(conf), conf.host)}
    return (counts.pop() or None) if len(counts) == 1 else None
