"""MariaDB with the schemas of Heat and Keystone, copied from a template that is created once."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from calorimeter.core import files
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import processes
from calorimeter.lab.daemons import readiness, shared_template
from calorimeter.lab.daemons.daemon import Daemon, DaemonError, run, start, tail
from calorimeter.lab.lab_state import Lab, write_private

DATABASES = ("heat", "keystone")

TEMPLATE = 1
"""Version of the template's contents."""

_CONF = """\
[mariadbd]
datadir = {data}
socket = {socket}
{network}
pid-file = {home}/pid
init-file = {init}
user = {user}
skip-name-resolve
skip-log-bin
performance-schema = off
max-connections = 1000
innodb-buffer-pool-size = 96M
innodb-log-file-size = 48M
# A lab's data is disposable: durability does not matter, disk time does.
innodb-flush-log-at-trx-commit = 0
innodb-doublewrite = off
"""


def daemon(lab: Lab) -> Daemon:
    """MariaDB, on the data folder that `prepare` created."""
    host, port = lab.host("mariadb"), lab.port("mariadb")
    conf = lab.folder / "mariadb" / "mariadb.cnf"
    return Daemon(
        part="mariadb",
        argv=(str(lab.programs.mariadbd), f"--defaults-file={conf}"),
        ready=lambda: readiness.greets(host, port),
        deadline_s=60,
    )


def prepare(lab: Lab, cancel: Event | None = None) -> None:
    """Copy the template (created if absent) and set this lab's own passwords."""
    home = files.make_folder(lab.folder / "mariadb")
    shared_template.copy(_template(lab, cancel), home / "data")
    password, host = lab.secrets["mariadb"], lab.host("mariadb")
    who = "10.0.0.%" if lab.topology.sample else host
    grants = [f"ALTER USER root@localhost IDENTIFIED BY '{lab.secrets['mariadb_root']}';"]
    for name in DATABASES:
        grants.append(f"CREATE OR REPLACE USER {name}@'{who}' IDENTIFIED BY '{password}';")
        grants.append(f"GRANT ALL ON {name}.* TO {name}@'{who}';")
    network = f"bind-address = {host}\nport = {lab.port('mariadb')}"
    _configure(home, network, grants)


def url(lab: Lab, database: str) -> str:
    """The SQLAlchemy URL of a database, with the guide's character set."""
    address = lab.address("mariadb")
    return f"mysql+pymysql://{database}:{lab.secrets['mariadb']}@{address}/{database}?charset=utf8"


def _configure(home: Path, network: str, statements: list[str]) -> None:
    init = home / "init.sql"
    write_private(init, "\n".join(statements) + "\n")
    user = "root" if os.geteuid() == 0 else str(os.geteuid())
    text = _CONF.format(
        data=home / "data", socket=home / "sock", network=network, home=home, init=init, user=user
    )
    if user != "root":
        text = text.replace(f"user = {user}\n", "")
    write_private(home / "mariadb.cnf", text)


def _versions(lab: Lab) -> str:
    """A short hash of everything that a template depends on."""
    argv = [str(lab.programs.mariadbd), "--no-defaults", "--version"]
    server = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    packages = sorted(
        path.name
        for pattern in ("openstack_heat-*.dist-info", "keystone-*.dist-info")
        for path in lab.programs.heat_venv.glob(f"lib/python3*/site-packages/{pattern}")
    )
    text = f"{TEMPLATE} {server} {packages}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_template(lab: Lab) -> bool:
    """Whether a template exists; creating one takes about half a minute."""
    return (shared_template.folder() / f"mariadb-{_versions(lab)}").exists()


def _template(lab: Lab, cancel: Event | None) -> Path:
    """The template's folder. One lab creates it; others that start at the same time wait."""
    cache = shared_template.folder()
    template = cache / f"mariadb-{_versions(lab)}"
    if template.exists():
        return template
    with shared_template.only_one("mariadb", cancel):
        if not template.exists():
            made = _make_template(lab, cancel)
            partial = cache / "mariadb.partial"
            shared_template.copy(made, partial)
            shutil.rmtree(made.parent)
            partial.rename(template)
    return template


def _make_template(lab: Lab, cancel: Event | None) -> Path:
    """Initialise a data folder inside the lab's folder, on a Unix socket only; return its path."""
    home = lab.folder / "template"
    shutil.rmtree(home, ignore_errors=True)
    files.make_folder(home)
    data = home / "data"
    part = "mariadb"
    install = [str(lab.programs.mariadb_install_db), "--no-defaults", f"--datadir={data}"]
    install += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    if os.geteuid() == 0:
        install.append("--user=root")
    run(lab, part, install, 120, cancel=cancel)
    _configure(
        home, "skip-networking", [f"CREATE DATABASE {name} CHARACTER SET utf8;" for name in DATABASES]
    )
    socket = home / "sock"
    server = Daemon(
        part=part,
        argv=(str(lab.programs.mariadbd), f"--defaults-file={home / 'mariadb.cnf'}"),
        ready=socket.exists,
        deadline_s=60,
    )
    start(lab, server, cancel)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_sync, lab, home, name, cancel) for name in DATABASES]:
            done.result()
    processes.send(processes.running(lab.folder, part), lab.folder, signal.SIGTERM)
    try:
        until(lambda: not processes.running(lab.folder, part), 60, cancel=cancel)
    except DeadlineError as problem:
        raise DaemonError(
            part, "did not stop after the template was created", tail(lab.log(part))
        ) from problem
    return data


def _sync(lab: Lab, home: Path, database: str, cancel: Event | None) -> None:
    conf = home / f"{database}.conf"
    write_private(
        conf,
        f"[database]\nconnection = mysql+pymysql://root@localhost/{database}"
        f"?unix_socket={home / 'sock'}&charset=utf8\n",
    )
    program = lab.programs.heat(f"{database}-manage")
    run(lab, "mariadb", [program, "--config-file", str(conf), "db_sync"], 240, cancel=cancel)
