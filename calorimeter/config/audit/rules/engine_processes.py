"""A11: how many engine processes, and what the database holds."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import group_place, of, option
from calorimeter.config.audit.model import Problem, Quote, Rule, Severity
from calorimeter.config.audit.subject import Subject
from calorimeter.config.heat.heat_conf import HeatConf

MAX_POOL_SIZE = 5
MAX_OVERFLOW = 50
MYSQL_CONNECTIONS = 151
"""MySQL's and MariaDB's default of max_connections."""


def _unsaid(subject: Subject) -> Iterator[Problem]:
    for conf in subject.engines:
        if conf.engine_workers is None:
            yield Problem(
                group_place(conf),
                conf.host,
                "num_engine_workers is not set",
                "each engine starts as many processes as its machine has processors, at least 4: how many "
                "consumers the queue must have, and how many database connections they may open, cannot be "
                "told from the files",
                (option(conf, "DEFAULT", "num_engine_workers", "4"),),
            )


UNSAID = Rule(
    "A11-workers-unsaid",
    Severity.NOTE,
    "The number of engine processes is said",
    "set num_engine_workers",
    Quote(
        "Number of heat-engine processes to fork and run. Will default to either to 4 or number of CPUs on "
        "the host, whichever is greater.",
        "Heat, help of num_engine_workers",
    ),
    _unsaid,
)


def _pool(conf: HeatConf, key: str, default: int) -> int:
    value = conf.get(key, "database")
    number = value.number if value else None
    return default if number is None else number


def _connections(subject: Subject) -> Iterator[Problem]:
    limit = subject.inputs.database_connections
    workers = [conf.engine_workers for conf in subject.engines]
    if not subject.engines or any(count is None for count in workers):
        return
    pools = [
        _pool(conf, "max_pool_size", MAX_POOL_SIZE) + _pool(conf, "max_overflow", MAX_OVERFLOW)
        for conf in subject.engines
    ]
    steady = sum(
        (count or 0) * _pool(conf, "max_pool_size", MAX_POOL_SIZE)
        for count, conf in zip(workers, subject.engines, strict=True)
    )
    peak = sum((count or 0) * pool for count, pool in zip(workers, pools, strict=True))
    # Where nobody said what the database holds, only what its default cannot hold at all times counts.
    if (peak if limit else steady) <= (limit or MYSQL_CONNECTIONS):
        return
    conf = subject.engines[0]
    value = conf.get("max_overflow", "database")
    room = (limit or MYSQL_CONNECTIONS) // max(1, sum(count or 0 for count in workers)) - MAX_POOL_SIZE
    yield Problem(
        of(value.entry) if value else group_place(conf, "database"),
        ", ".join(conf.host for conf in subject.engines),
        f"their engines may open {peak} database connections, and keep {steady} open; the database holds "
        f"{limit or f'{MYSQL_CONNECTIONS} by default'}",
        "under load an engine is refused a connection: operations fail with «Too many connections»",
        tuple(option(conf, "database", "max_overflow", str(room)) for conf in subject.engines)
        if room > 0
        else (),
    )


CONNECTIONS = Rule(
    "A11-database-connections",
    Severity.WARNING,
    "The database holds the connections of all engines",
    "lower num_engine_workers, [database] max_pool_size or max_overflow, or raise max_connections",
    Quote("If set, use this value for max_overflow with SQLAlchemy.", "oslo.db, help of max_overflow (50)"),
    _connections,
)

RULES = (UNSAID, CONNECTIONS)
