"""Digests of statements: rows as MariaDB 10.11 sends them, windows, and servers that are none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calorimeter.core import foreign
from calorimeter.core.database_table import Database
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.gates.evidence import database_digests
from calorimeter.gates.evidence.database_digests import DatabaseReader, reading
from calorimeter.gates.evidence.digest_window import DigestCount, DigestReading, ServerCounters, window
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.load.http.raw_server import serving

D1, D2 = "4184771dcfd90a4babf13a1fd2859eb9", "c9238ac7c3978072fd045fafe137c5da"
STATUS: dict[str, Any] = {
    "Innodb_deadlocks": "1",
    "Innodb_row_lock_time": "250",
    "Innodb_row_lock_waits": "4",
    "Threads_connected": "9",
    "Uptime": "77",
}


def row(digest: str | None, count: int, *sums: int) -> tuple[Any, ...]:
    """A row of the digest table; `sums` are rows examined, rows sent, lock time in ps, errors."""
    return (digest, digest and "SELECT *  FROM `t`\nWHERE `a` = ?", count, *(sums or (0, 0, 0, 0)))


def read(*rows: tuple[Any, ...], **status: str) -> DigestReading:
    """A reading of these rows."""
    return reading(5, rows, {**STATUS, **status}, 100)


def test_rows_become_a_reading() -> None:
    """Numbers arrive as int, Decimal or text; lock times are in picoseconds; text is one line."""
    found = reading(5, [row(D1, 7, 21, 3, 184_000_000, 1), row(None, 2)], STATUS, 100)
    assert found.digests == (
        DigestCount(
            digest=D1,
            text="SELECT * FROM `t` WHERE `a` = ?",
            count=7,
            rows_examined=21,
            rows_sent=3,
            lock_ns=184_000,
            errors=1,
        ),
    )
    assert found.overflow == 2
    assert found.server == ServerCounters(
        row_lock_waits=4,
        row_lock_ms=250,
        deadlocks=1,
        threads_connected=9,
        max_connections=100,
        uptime_s=77,
    )
    assert read((D1, None, Decimal(7), 0, 0, 0, 0)).digests[0].count == 7


def test_mysql_does_not_count_deadlocks() -> None:
    """None, not zero, in a reading and in a window."""
    status = {name: value for name, value in STATUS.items() if name != "Innodb_deadlocks"}
    found = reading(5, [], status, 100)
    assert found.server.deadlocks is None
    assert window(found, found).server.deadlocks is None


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([row("no digest; --", 1)], STATUS),
        ([row(D1, -1)], STATUS),
        ([row(D1, 2**63)], STATUS),
        ([(D1, "SELECT", 1)], STATUS),
        ([(D1, b"\xff", 1, 0, 0, 0, 0)], STATUS),
        ([], {**STATUS, "Uptime": "1e3"}),
        ([], {}),
        ([row(D1, 1)] * 20_001, STATUS),
    ],
)
def test_rows_of_another_form_are_refused(rows: Any, status: dict[str, Any]) -> None:
    """By an exception that the reader turns into a reason."""
    with pytest.raises(foreign.MISREAD):
        reading(5, rows, status, 100)


def test_a_window_has_what_was_counted_in_it() -> None:
    """Classes that are new, and those that grew; not those that did nothing."""
    before = read(row(D1, 7, 21, 3, 0, 1), row("d0", 5), Innodb_row_lock_waits="3", Threads_connected="2")
    after = read(row(D2, 2, 8, 2, 0, 0), row(D1, 9, 25, 4, 0, 1), row("d0", 5))
    found = window(before, after)
    counts = [(e.digest, e.count, e.rows_examined, e.rows_sent, e.errors) for e in found.digests]
    assert counts == [(D1, 2, 4, 1, 0), (D2, 2, 8, 2, 0)]
    assert (found.server.row_lock_waits, found.server.threads_connected) == (1, 9)
    assert found.incomplete is None


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        (read(Uptime="90"), read(), "the server was restarted meanwhile"),
        (read(row(D1, 7)), read(row(D1, 6)), "its digests were emptied meanwhile"),
        (read(row(D1, 7)), read(), "its digests were emptied meanwhile"),
        (read(), read(row(None, 3)), "3 statements had no room (performance_schema_digests_size)"),
    ],
)
def test_a_window_that_is_incomplete_says_why(
    before: DigestReading, after: DigestReading, why: str
) -> None:
    """Nothing of it can be concluded."""
    found = window(before, after)
    assert found.incomplete == why
    assert all(each.count > 0 for each in found.digests)


def database(url: str) -> Database:
    """An account at a server."""
    return Database(url=url, user="calorimeter", password=Secret(env="P"))


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    """By its address or its socket, without the password."""
    for url in ("tcp://127.0.0.1:1", f"unix://{tmp_path}/sock"):
        with pytest.raises(EvidenceUnavailable, match="cannot be read") as caught:
            DatabaseReader(database(url), "s3cr3t")
        assert url in caught.value.where and "s3cr3t" not in str(caught.value)


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=120), st.booleans())
def test_any_answer_of_a_server_is_a_reason(body: bytes, framed: bool) -> None:
    """Whatever greets us there, in packets of the protocol or not."""
    packet = len(body).to_bytes(3, "little") + b"\0" + body if framed else body

    def answer(sock: Any) -> None:
        sock.sendall(packet)

    with serving(answer) as there, pytest.raises(EvidenceUnavailable) as caught:
        DatabaseReader(database(f"tcp://127.0.0.1:{there.port}"), "s3cr3t")
    assert str(caught.value).isprintable() and len(caught.value.why) < 300


def packet(number: int, body: bytes) -> bytes:
    """A packet of the protocol."""
    return len(body).to_bytes(3, "little") + bytes([number]) + body


GREETING = (
    b"\x0a10.11.18-MariaDB\0" + b"\1\0\0\0" + b"12345678" + b"\0"
    b"\xff\xf7" + b"\x2d" + b"\2\0" + b"\xff\x81" + b"\x15" + b"\0" * 10 + b"123456789012\0"
    b"mysql_native_password\0"
)  # fmt: skip


@pytest.mark.parametrize("way", ["mysql_clear_password", "dialog", "mysql_old_password"])
def test_the_password_is_not_sent_in_clear_text(way: str) -> None:
    """Whoever answers at the address could ask for it."""
    received: list[bytes] = []

    def answer(sock: Any) -> None:
        sock.sendall(packet(0, GREETING))
        received.append(sock.recv(4096))
        sock.sendall(packet(2, b"\xfe" + way.encode() + b"\0" + b"\4Password: "))
        received.append(sock.recv(4096))

    with (
        serving(answer) as there,
        pytest.raises(EvidenceUnavailable, match="asks for the password in clear text"),
    ):
        DatabaseReader(database(f"tcp://127.0.0.1:{there.port}"), "s3cr3t")
    assert b"calorimeter\0" in received[0]
    assert b"s3cr3t" not in b"".join(received)


def test_the_statements_read_no_sample_and_change_nothing() -> None:
    """Each begins with SELECT or SHOW, none names a column with literals."""
    for text in (
        database_digests._DIGESTS,
        database_digests._CONSUMERS,
        database_digests._STATUS,
        database_digests._VARIABLES,
    ):
        assert text.startswith(("SELECT ", "SHOW "))
        assert "SAMPLE" not in text.upper() and "SQL_TEXT" not in text.upper() and "*" not in text
