"""A11: the engine processes: their number, their names, and the database connections that they need."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at, at_option
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.heat.heat_conf import HeatProcessConf

MAX_POOL_SIZE = 5
"""oslo.db's default of max_pool_size."""
MAX_OVERFLOW = 50
"""oslo.db's default of max_overflow."""
_REFUSES_ZERO = 26
"""The first Heat release in which `num_engine_workers` is at least 1."""
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
            value = conf.get("num_engine_workers")
            if value and (subject.inputs.heat_release or 0) >= _REFUSES_ZERO:
                continue  # A10-value-refused: the engine does not start
            yield rule.finding(
                at_option(conf, value),
                conf.host,
                f"num_engine_workers is {value.text.strip() if value else 'not set'}",
                "each engine starts as many processes as its machine has processors, at least 4: the "
                "number of consumers on the queue and of database connections cannot be determined from "
                "the files",
            )


@rule(
    "A11-engine-name-shared",
    Severity.NOTE,
    remedy="remove the option host, unless something needs the common name",
    quote=Quote(
        "Name of the engine node. This can be an opaque identifier. It is not necessarily a hostname, "
        "FQDN, or IP address.",
        "Heat, help of host",
    ),
)
def engine_name_shared(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Each machine's engine has a name of its own."""
    engines = {id(conf) for conf in subject.engines}
    named: dict[str, dict[str, HeatProcessConf]] = {}
    for index, conf in enumerate(subject.heat):
        value = conf.get("host")
        if id(conf) in engines and value and not value.unresolved:
            machine = subject.machines.get(index, conf.host)
            named.setdefault(value.text.strip(), {}).setdefault(machine, conf)
    for name, machines in named.items():
        first, *others = machines.values()
        value = first.get("host")
        if others and value:
            yield rule.finding(
                at(value.entry),
                ", ".join(conf.host for conf in machines.values()),
                f"host is {name} on each of these machines",
                "this works, but the engines have one name: `openstack orchestration service list` tells "
                "them apart only by Hostname and Engine ID, and on the broker their consumers are those of "
                f"one host, {name}",
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
    engines = subject.engines
    workers = [conf.engine_workers for conf in engines]
    counts = [count for count in workers if count is not None]
    if not engines or len(counts) < len(workers):
        return
    pools = [_database_option(conf, "max_pool_size", MAX_POOL_SIZE) for conf in engines]
    overflows = [_database_option(conf, "max_overflow", MAX_OVERFLOW) for conf in engines]
    steady = sum(count * pool for count, pool in zip(counts, pools, strict=True))
    peak = steady + sum(count * overflow for count, overflow in zip(counts, overflows, strict=True))
    # Without --database-connections only the connections that the pools keep open are compared, with the
    # default of the database.
    if (peak if limit else steady) <= (limit or MYSQL_CONNECTIONS):
        return
    conf = engines[0]
    yield rule.finding(
        at_option(conf, conf.get("max_overflow", "database"), "database"),
        ", ".join(dict.fromkeys(conf.host for conf in engines)),
        f"their engines may open {peak} database connections, and keep {steady} open; the database accepts "
        f"{limit or f'{MYSQL_CONNECTIONS} by default'}",
        "under load an engine is refused a connection: operations fail with «Too many connections»",
    )
