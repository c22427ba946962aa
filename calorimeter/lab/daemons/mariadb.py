"""MariaDB with the databases of Heat and Keystone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from calorimeter.core import files
from calorimeter.lab.daemons import readiness
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import Lab, write_private

DATABASES = ("heat", "keystone")

OBSERVER = "calorimeter"
"""The suite's own account: it may read performance_schema, and nothing else."""

# Statements are counted by class, and nothing else is. With the server's own sizes that takes 150 MB of
# memory, with these less than 50 MB.
_COUNTING = ("instrument = '%=OFF'", "instrument = 'statement/%=ON'", "digests-size = 2000")
_NOT_COUNTED = (
    *(
        f"events-{what}-history{size}-size"
        for what in ("statements", "stages", "transactions", "waits")
        for size in ("", "-long")
    ),
    *(f"max-{what}-instances" for what in ("table", "program")),
    *(f"max-{what}" for what in ("index-stat", "memory-classes", "metadata-locks")),
    *(f"{what}-size" for what in ("accounts", "hosts", "users", "session-connect-attrs")),
)

_CONF = """\
[mariadbd]
datadir = {home}/data
socket = {home}/sock
bind-address = {host}
port = {port}
pid-file = {home}/pid
init-file = {home}/init.sql
skip-name-resolve
skip-log-bin
{counting}
max-connections = 1000
innodb-buffer-pool-size = 96M
innodb-log-file-size = 48M
# A lab's data is disposable: durability does not matter, disk time does.
innodb-flush-log-at-trx-commit = 0
innodb-doublewrite = off
"""


def home(lab: Lab) -> Path:
    """The folder with the data folder `data`."""
    return lab.folder / "mariadb"


def daemon(lab: Lab) -> Daemon:
    """MariaDB, on the lab's data folder."""
    host, port = lab.host("mariadb"), lab.port("mariadb")
    return Daemon(
        part="mariadb",
        argv=(str(lab.programs.mariadbd), f"--defaults-file={home(lab) / 'mariadb.cnf'}"),
        ready=lambda: readiness.greets(host, port),
        deadline_s=60,
    )


def configure(lab: Lab, statements: Iterable[str] = ()) -> None:
    """Write the configuration, and the SQL with which each start begins: passwords, then `statements`."""
    folder = files.make_folder(home(lab))
    password = lab.secrets["mariadb"]
    sql = [f"ALTER USER root@localhost IDENTIFIED BY '{lab.secrets['mariadb_root']}';"]
    for name in DATABASES:
        sql.append(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8;")
        # From any address: the server listens on one that only the lab can reach.
        sql.append(f"CREATE OR REPLACE USER {name}@'%' IDENTIFIED BY '{password}';")
        sql.append(f"GRANT ALL ON {name}.* TO {name}@'%';")
    sql.append(f"CREATE OR REPLACE USER {OBSERVER}@'%' IDENTIFIED BY '{lab.secrets['mariadb_observer']}';")
    sql.append(f"GRANT SELECT ON performance_schema.* TO {OBSERVER}@'%';")
    write_private(folder / "init.sql", "\n".join([*sql, *statements]) + "\n")
    counting = [f"performance-schema-{option}" for option in _COUNTING]
    counting += [f"performance-schema-{option} = 0" for option in _NOT_COUNTED]
    text = _CONF.format(
        counting="\n".join(["performance-schema = on", *counting]),
        home=folder,
        host=lab.host("mariadb"),
        port=lab.port("mariadb"),
    )
    if os.geteuid() == 0:
        text += "user = root\n"
    write_private(folder / "mariadb.cnf", text)


def url(lab: Lab, database: str) -> str:
    """The SQLAlchemy URL of a database, with the guide's character set."""
    address = lab.address("mariadb")
    return f"mysql+pymysql://{database}:{lab.secrets['mariadb']}@{address}/{database}?charset=utf8"
