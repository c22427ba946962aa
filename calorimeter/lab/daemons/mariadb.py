"""MariaDB with the schemas of Heat and Keystone, from a template that is made once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import processes
from calorimeter.lab.daemons import readiness
from calorimeter.lab.daemons.daemon import Daemon, DaemonError, run, start, tail
from calorimeter.lab.topology import Lab, write_private

DATABASES = ("heat", "keystone")

TEMPLATE = 1
"""Counted up when what a template holds changes."""

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
# A lab's data is thrown away: what a power cut would lose does not matter, the disk's time does.
innodb-flush-log-at-trx-commit = 0
innodb-doublewrite = off
"""


def daemon(lab: Lab) -> Daemon:
    """MariaDB, on the data that `prepare` put there."""
    host, port = lab.host("mariadb"), lab.port("mariadb")
    conf = lab.folder / "mariadb" / "mariadb.cnf"
    return Daemon(
        part="mariadb",
        argv=(str(lab.programs.mariadbd), f"--defaults-file={conf}"),
        ready=lambda: readiness.greets(host, port),
        deadline_s=60,
    )


def prepare(lab: Lab, cancel: Event | None = None) -> None:
    """Copy the template (made first where there is none), with passwords of this lab's own."""
    home = lab.folder / "mariadb"
    home.mkdir(mode=0o700, exist_ok=True)
    _copy(_template(lab, cancel), home / "data")
    password, host = lab.secrets["mariadb"], lab.host("mariadb")
    who = "10.0.0.%" if lab.topology.sample else host
    grants = [f"ALTER USER root@localhost IDENTIFIED BY '{lab.secrets['mariadb_root']}';"]
    for name in DATABASES:
        grants.append(f"CREATE OR REPLACE USER {name}@'{who}' IDENTIFIED BY '{password}';")
        grants.append(f"GRANT ALL ON {name}.* TO {name}@'{who}';")
    network = f"bind-address = {host}\nport = {lab.port('mariadb')}"
    _configure(home, network, grants)


def url(lab: Lab, database: str) -> str:
    """The SQLAlchemy URL of one of the databases, with the character set of the guide's."""
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
    (home / "mariadb.cnf").write_text(text)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(base) / "calorimeter"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _versions(lab: Lab) -> str:
    """What a template depends on, as a short hash."""
    server = subprocess.run(
        [str(lab.programs.mariadbd), "--no-defaults", "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    packages = sorted(
        path.name
        for pattern in ("openstack_heat-*.dist-info", "keystone-*.dist-info")
        for path in lab.programs.heat_venv.glob(f"lib/python3*/site-packages/{pattern}")
    )
    text = f"{TEMPLATE} {server} {packages}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_template(lab: Lab) -> bool:
    """Whether `prepare` finds a template, and need not make it (some half a minute)."""
    return (_cache() / f"mariadb-{_versions(lab)}").exists()


def _template(lab: Lab, cancel: Event | None) -> Path:
    """The folder of the template; one lab makes it, others that come up meanwhile wait."""
    cache = _cache()
    template = cache / f"mariadb-{_versions(lab)}"
    if template.exists():
        return template
    with _only_one(cache / "mariadb.lock", cancel):
        if not template.exists():
            made = _make_template(lab, cancel)
            partial = cache / "mariadb.partial"
            _copy(made, partial)
            shutil.rmtree(made.parent)
            partial.rename(template)
    return template


@contextmanager
def _only_one(path: Path, cancel: Event | None) -> Iterator[None]:
    with path.open("w") as lock:

        def locked() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        try:
            until(locked, 300, every_s=0.2, cancel=cancel)
        except DeadlineError as problem:
            raise DaemonError(
                "mariadb", "another lab is making the template for over 300 s", ""
            ) from problem
        yield


def _make_template(lab: Lab, cancel: Event | None) -> Path:
    """Initialise a data folder inside the lab's, on a Unix socket only, and give its path."""
    home = lab.folder / "template"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
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
            part, "did not stop after its template was made", tail(lab.log(part))
        ) from problem
    return data


def _sync(lab: Lab, home: Path, database: str, cancel: Event | None) -> None:
    conf = home / f"{database}.conf"
    conf.write_text(
        f"[database]\nconnection = mysql+pymysql://root@localhost/{database}"
        f"?unix_socket={home / 'sock'}&charset=utf8\n"
    )
    program = lab.programs.heat(f"{database}-manage")
    run(lab, "mariadb", [program, "--config-file", str(conf), "db_sync"], 240, cancel=cancel)
