"""A11: the number of engine processes, and the database connections that they need."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at_group, at_option, set_option
from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf

MAX_POOL_SIZE = 5
"""oslo.db's default of max_pool_size."""
MAX_OVERFLOW = 50
"""oslo.db's default of max_overflow."""
MYSQL_CONNECTIONS = 151
"""MySQL's and MariaDB's default of max_connections."""


@rule(
    "A11-workers-unsaid",
    Severity.NOTE,
    remedy="set num_engine_workers",
    quote=Quote(
        "Number of heat-engine processes to fork and run. Will default to either to 4 or number of CPUs on "
        "the host, whichever is greater.",
        "Heat, help of num_engine_workers",
    ),
)
def workers_unset(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The number of engine processes is set."""
    for conf in subject.engines:
        if conf.engine_workers is None:
            yield rule.finding(
                at_group(conf),
                conf.host,
                "num_engine_workers is not set",
                "each engine starts as many processes as its machine has processors, at least 4: the "
                "number of consumers on the queue and of database connections cannot be determined from "
                "the files",
                [set_option(conf, "DEFAULT", "num_engine_workers", "4")],
            )


def _database_option(conf: HeatProcessConf, key: str, default: int) -> int:
    number = conf.integer(key, "database")
    return default if number is None else number


@rule(
    "A11-database-connections",
    Severity.WARNING,
    remedy="lower num_engine_workers, [database] max_pool_size or max_overflow, or raise max_connections",
    quote=Quote(
        "If set, use this value for max_overflow with SQLAlchemy.", "oslo.db, help of max_overflow (50)"
    ),
)
def database_connections(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The database accepts the connections of all engines."""
    limit = subject.inputs.database_connections
    workers = [conf.engine_workers for conf in subject.engines]
    counts = [count for count in workers if count is not None]
    if not subject.engines or len(counts) < len(workers):
        return
    pools = [_database_option(conf, "max_pool_size", MAX_POOL_SIZE) for conf in subject.engines]
    overflows = [_database_option(conf, "max_overflow", MAX_OVERFLOW) for conf in subject.engines]
    steady = sum(count * pool for count, pool in zip(counts, pools, strict=True))
    peak = steady + sum(count * overflow for count, overflow in zip(counts, overflows, strict=True))
    # Without --database-connections only the connections that the pools keep open are compared, with the
    # default of the database.
    if (peak if limit else steady) <= (limit or MYSQL_CONNECTIONS):
        return
    conf = subject.engines[0]
    room = (limit or MYSQL_CONNECTIONS) // max(1, sum(counts)) - MAX_POOL_SIZE
    yield rule.finding(
        at_option(conf, conf.get("max_overflow", "database"), "database"),
        ", ".join(conf.host for conf in subject.engines),
        f"their engines may open {peak} database connections, and keep {steady} open; the database accepts "
        f"{limit or f'{MYSQL_CONNECTIONS} by default'}",
        "under load an engine is refused a connection: operations fail with «Too many connections»",
        [set_option(conf, "database", "max_overflow", str(room)) for conf in subject.engines]
        if room > 0
        else (),
    )
