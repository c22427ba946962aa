"""The lab's MariaDB, alone: the reader reads what it counts, by an account that may read only that."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from calorimeter.core.database_table import Database
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.database_digests import DatabaseReader
from calorimeter.gates.evidence.digest_window import window
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.lab.daemons import mariadb
from calorimeter.lab.lab_state import Lab
from tests.lab.test_counting_database import planned

pytestmark = pytest.mark.slow


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of which only MariaDB runs, with empty databases."""
    made = planned(tmp_path_factory.mktemp("lab"), mariadb=free_port())
    mariadb.configure(made)
    install = [str(made.programs.mariadb_install_db), "--no-defaults"]
    install += [f"--datadir={mariadb.home(made) / 'data'}", "--auth-root-authentication-method=normal"]
    install += ["--skip-test-db", *(["--user=root"] if os.geteuid() == 0 else [])]
    subprocess.run(install, check=True, capture_output=True, timeout=120)
    server = mariadb.daemon(made)
    with (made.folder / "log").open("wb") as log:
        process = subprocess.Popen(server.argv, stdout=log, stderr=log)
    try:
        until(server.ready, 60)
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def heat(lab: Lab) -> Any:
    """A session of Heat's account."""
    return pymysql.connect(
        host=lab.host("mariadb"),
        port=lab.port("mariadb"),
        user="heat",
        password=lab.secrets["mariadb"],
        database="heat",
        autocommit=True,
    )


def observer(lab: Lab, url: str | None = None) -> DatabaseReader:
    """A session of the suite's account."""
    found = Database(
        url=url or f"tcp://{lab.address('mariadb')}",
        user=mariadb.OBSERVER,
        password=Secret(env="P"),
    )
    return DatabaseReader(found, lab.secrets["mariadb_observer"])


def test_a_window_has_each_statement_and_no_literal(lab: Lab) -> None:
    """Also the last one, which the server counts only after its client has the answer."""
    url = f"unix://{mariadb.home(lab) / 'sock'}"
    with heat(lab) as session, session.cursor() as cursor, observer(lab, url) as reader:
        cursor.execute("CREATE TABLE things (thing INT PRIMARY KEY, `value` VARCHAR(9))")
        cursor.execute("INSERT INTO things VALUES (1, 'hidden'), (2, 'other')")
        before = reader.settled()
        for number in range(7):
            cursor.execute("SELECT `value` FROM things WHERE thing = %s AND `value` <> 'hidden'", (number,))
        cursor.execute("SELECT thing FROM things WHERE thing IN (1, 2)")
        cursor.execute("SELECT thing FROM things WHERE thing IN (1, 2, 3)")
        found = window(before, reader.settled())
    assert found.incomplete is None
    assert {each.text: (each.count, each.rows_sent) for each in found.digests} == {
        "SELECT `value` FROM `things` WHERE `thing` = ? AND `value` != ?": (7, 1),
        "SELECT `thing` FROM `things` WHERE `thing` IN (...)": (2, 4),
    }
    assert (found.server.deadlocks, found.server.max_connections) == (0, 1000)
    assert found.server.threads_connected >= 2


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM heat.stack",
        "CREATE TABLE heat.x (a INT)",
        "TRUNCATE performance_schema.events_statements_summary_by_digest",
        "UPDATE performance_schema.setup_consumers SET ENABLED = 'NO'",
    ],
)
def test_the_account_may_do_nothing_else(lab: Lab, statement: str) -> None:
    """Neither read Heat's tables nor change what is counted."""
    with observer(lab) as reader, pytest.raises(EvidenceUnavailable, match=r"denied|READ ONLY"):
        reader._rows(statement)


def test_an_account_without_the_right_is_told_so(lab: Lab) -> None:
    """Heat's own account may not read the counters."""
    found = Database(url=f"tcp://{lab.address('mariadb')}", user="heat", password=Secret(env="P"))
    with pytest.raises(EvidenceUnavailable, match="SELECT command denied"):
        DatabaseReader(found, lab.secrets["mariadb"])
