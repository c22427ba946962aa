"""What MariaDB or MySQL counts of the statements of one database: performance_schema's digests.

A digest is the class of all statements that differ only in their literals. Nothing but these classes is
read: no statement, no literal. The session is read only.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

import pymysql
from pymysql.cursors import SSCursor

from calorimeter.core import foreign, waiting
from calorimeter.core.bounds import is_digits
from calorimeter.core.database_table import Database
from calorimeter.core.deployment import Deployment
from calorimeter.gates.evidence.digest_window import DigestCount, DigestReading, ServerCounters
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

CONNECT_S = 5.0
READ_S = 20.0

SETTLE_S = 1.0
SETTLE_EVERY_S = 0.05
"""How long, and how often, a reading is repeated while others still change what it counts."""

MOST_DIGESTS = 20_000
"""Classes that are read; the server keeps 10,000 by default, of all databases."""

LONGEST_TEXT = 1024
"""Characters of a class's text; the server keeps 1,024 bytes by default."""

MISBEHAVED = Exception
"""What PyMySQL raises if a server refuses, or answers something else than its protocol: its own errors,
those of sockets, and whatever its parser runs into (struct.error, IndexError, UnboundLocalError)."""

_DIGESTS = (
    "SELECT DIGEST, LEFT(DIGEST_TEXT, %s), COUNT_STAR, SUM_ROWS_EXAMINED, SUM_ROWS_SENT, "
    "SUM_LOCK_TIME, SUM_ERRORS FROM performance_schema.events_statements_summary_by_digest "
    "WHERE SCHEMA_NAME = %s OR DIGEST IS NULL LIMIT %s"
)
_CONSUMERS = (
    "SELECT NAME FROM performance_schema.setup_consumers WHERE ENABLED = 'NO' AND NAME IN "
    "('global_instrumentation', 'thread_instrumentation', 'statements_digest')"
)
_STATUS = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_row_lock_waits', 'Innodb_row_lock_time', "
    "'Innodb_deadlocks', 'Threads_connected', 'Uptime')"
)
_VARIABLES = "SELECT @@global.performance_schema, @@global.max_connections"

Rows = Sequence[Sequence[Any]]


class _Cursor(Protocol):
    """The part of a cursor of PyMySQL that is used here."""

    def execute(self, query: str, args: tuple[str | int, ...] | None = None) -> int: ...

    def fetchmany(self, size: int) -> Rows: ...


TELLING = ("mysql_clear_password", "dialog", "mysql_old_password")
"""Ways to log in that put the password on the network, or nearly so; a server may ask for any of them."""


class _RefusedLogin:
    """What PyMySQL calls when a server asks for one of `TELLING`."""

    def __init__(self, _: object) -> None:
        pass

    def authenticate(self, _: object) -> None:
        raise pymysql.OperationalError(0, "asks for the password in clear text, and does not get it")


class DatabaseReader:
    """A read-only session at the database server. Leaving the context closes it."""

    def __init__(self, database: Database, password: str) -> None:
        self.where = f"database {database.url}"
        self._name = database.name
        self._user = database.user
        self._connection = self._opened(database, password)

    @classmethod
    def of(cls, deployment: Deployment) -> DatabaseReader:
        """The reader of a deployment with `[database]`.

        Raises EvidenceUnavailable if it does not answer, refuses the account or counts no digests, and
        InputError if there is no password.
        """
        database = deployment.database
        if database is None:
            raise EvidenceUnavailable(str(deployment.path), "has no [database]")
        return cls(database, deployment.reveal(database.password))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(MISBEHAVED):
            self._connection.close()

    def settled(self) -> DigestReading:
        """The digests once two readings have counted the same, or after `SETTLE_S`.

        The server counts a statement after its client has the answer. Raises EvidenceUnavailable.
        """
        found = [self.read()]

        def unchanged() -> bool:
            found.append(self.read())
            return found[-1].digests == found[-2].digests

        waiting.poll(unchanged, SETTLE_S, every_s=SETTLE_EVERY_S)
        return found[-1]

    def read(self) -> DigestReading:
        """The digests now. Raises EvidenceUnavailable."""
        try:
            rows = self._rows(_DIGESTS, LONGEST_TEXT, self._name, MOST_DIGESTS + 1)
            at_ns = time.time_ns()
            status = {str(name): value for name, value in self._rows(_STATUS)}
            ((_, most),) = self._rows(_VARIABLES)
            return reading(at_ns, rows, status, int(most))
        except foreign.MISREAD as problem:
            raise EvidenceUnavailable(self.where, f"an unknown format ({type(problem).__name__})") from None

    def _opened(self, database: Database, password: str) -> Any:
        """A session that may change nothing, at a server that counts digests."""
        found = self._logged_in(database, password)
        try:
            with found.cursor() as cursor:
                _fetched(cursor, "SET SESSION TRANSACTION READ ONLY", ())
                ((on, _),) = _fetched(cursor, _VARIABLES, ())
                off = sorted(str(name) for (name,) in _fetched(cursor, _CONSUMERS, ())) if on else []
        except MISBEHAVED as problem:
            found.close()
            raise EvidenceUnavailable(self.where, _said(problem)) from None
        if not on or off:
            found.close()
            why = f"counts no digests: {off[0]} is off" if off else "performance_schema is off"
            raise EvidenceUnavailable(self.where, why)
        return found

    def _logged_in(self, database: Database, password: str) -> Any:
        # No database is selected, so that this session's own statements are of no database.
        session = pymysql.Connection(
            user=database.user,
            password=password,
            read_timeout=READ_S,
            write_timeout=READ_S,
            charset="utf8mb4",
            cursorclass=SSCursor,
            auth_plugin_map=dict.fromkeys(TELLING, _RefusedLogin),
            ssl_disabled=True,  # else PyMySQL uses TLS if there is any, and verifies nobody
            defer_connect=True,
        )
        sock = None
        try:
            sock = _socket(database.url)
            session.connect(sock)
        except MISBEHAVED as problem:
            if sock is not None:
                sock.close()
            raise EvidenceUnavailable(self.where, _said(problem)) from None
        return session

    def _rows(self, query: str, *args: str | int) -> Rows:
        """The rows of a query. Raises EvidenceUnavailable if none can be read."""
        try:
            with self._connection.cursor() as cursor:
                return _fetched(cursor, query, args)
        except MISBEHAVED as problem:
            raise EvidenceUnavailable(self.where, _said(problem)) from None


def _socket(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        assert parts.hostname is not None and parts.port is not None  # `DatabaseUrl` has both
        return socket.create_connection((parts.hostname, parts.port), CONNECT_S)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.settimeout(CONNECT_S)
    try:
        local.connect(parts.path)
    except OSError:
        local.close()
        raise
    return local


def _fetched(cursor: _Cursor, query: str, args: tuple[str | int, ...]) -> Rows:
    cursor.execute(query, args or None)
    return list(cursor.fetchmany(MOST_DIGESTS + 1))


def _said(problem: BaseException) -> str:
    """What the server said, shortened; it names the account, never the password."""
    words = str(problem.args[1]) if len(problem.args) > 1 else ""
    return f"cannot be read ({' '.join(words.split())[:200] or type(problem).__name__})"


def reading(at_ns: int, rows: Rows, status: dict[str, Any], max_connections: int) -> DigestReading:
    """A reading from the rows of the digest table and the status variables, checked.

    Raises one of `foreign.MISREAD` if they have another form.
    """
    if len(rows) > MOST_DIGESTS:
        raise foreign.UnintelligibleError("too many digests")
    classes = [_counted(row) for row in rows if row[0] is not None]
    return DigestReading(
        at_ns=at_ns,
        digests=tuple(classes),
        overflow=sum(_number(row[2]) for row in rows if row[0] is None),
        server=ServerCounters(
            row_lock_waits=_number(status["Innodb_row_lock_waits"]),
            row_lock_ms=_number(status["Innodb_row_lock_time"]),
            deadlocks=_number(status["Innodb_deadlocks"]) if "Innodb_deadlocks" in status else None,
            threads_connected=_number(status["Threads_connected"]),
            max_connections=max_connections,
            uptime_s=_number(status["Uptime"]),
        ),
    )


def _counted(row: Sequence[Any]) -> DigestCount:
    digest, text, count, examined, sent, lock_ps, errors = row
    return DigestCount(
        digest=foreign.identifier(digest),
        text=" ".join(foreign.text(text or "").split())[:LONGEST_TEXT],
        count=_number(count),
        rows_examined=_number(examined),
        rows_sent=_number(sent),
        lock_ns=_number(lock_ps) // 1000,
        errors=_number(errors),
    )


def _number(value: object) -> int:
    """A counter: a whole number of at most 63 bits. Raises UnintelligibleError."""
    number = int(str(value)) if is_digits(str(value)) else -1
    if not 0 <= number < 2**63:
        raise foreign.UnintelligibleError("not a counter")
    return number
