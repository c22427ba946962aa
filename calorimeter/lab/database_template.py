"""The databases of a lab, copied from a template that is made once: schemas, and accounts in Keystone.

The template holds the accounts with passwords that nobody knows. Each lab sets its own as MariaDB starts,
together with its own addresses and EC2 credential, so that no command of Keystone runs for it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event

from calorimeter.core import files
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import lab_state, processes, shared_cache
from calorimeter.lab.daemons import bootstrap_accounts, keystone, mariadb, memcached
from calorimeter.lab.daemons.daemon import DaemonError, run, start, tail
from calorimeter.lab.heat_environments import WITH_KEYSTONE
from calorimeter.lab.lab_state import Lab, write_private
from calorimeter.lab.lab_topology import Release

WAIT_S = 300.0
"""Limit for waiting until another lab has made the template."""

VERSION = 2
"""Version of the template's contents."""


def prepare(lab: Lab, cancel: Event | None = None) -> None:
    """Copy the template, and set this lab's own passwords, addresses and EC2 credential."""
    data = files.make_folder(mariadb.home(lab)) / "data"
    _copy(_path(lab), data)
    mariadb.configure(lab, bootstrap_accounts.own_values(lab))


def exists(lab: Lab) -> bool:
    """Whether there is a template for the versions that are installed."""
    return _path(lab).exists()


def make(lab: Lab, cancel: Event | None = None) -> None:
    """Make the template, with daemons in the folder of `lab`; takes about half a minute.

    One lab makes it; others that start at the same time wait for it.
    """
    template = _path(lab)
    with shared_cache.only_one("mariadb", WAIT_S, cancel):
        if template.exists():
            return
        donor = replace(lab, secrets={**lab_state.fresh_secrets(), "amqp": lab.secrets["amqp"]})
        _fill(donor, cancel)
        partial = template.with_name("mariadb.partial")
        _copy(mariadb.home(lab) / "data", partial)
        for each in (mariadb.home(lab), lab.folder / "keystone"):
            shutil.rmtree(each)
        partial.rename(template)


def _path(lab: Lab) -> Path:
    return shared_cache.folder() / f"mariadb-{_versions(lab)}"


def _versions(lab: Lab) -> str:
    """A short hash of everything that a template depends on."""
    argv = [str(lab.programs.mariadbd), "--no-defaults", "--version"]
    server = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    schema = "lib/python3*/site-packages/heat/db/migrations/versions/*.py"
    sources = (
        (lab.programs.heat_venv, "lib/python3*/site-packages/keystone-*.dist-info"),
        (lab.programs.environment(_newest(lab)), schema),
    )
    names = sorted(path.name for folder, pattern in sources for path in folder.glob(pattern))
    text = f"{VERSION} {server} {names}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _newest(lab: Lab) -> Release:
    """The newest release of Heat in the lab, whose schema older ones can use, too."""
    return max(lab.topology.release(part) for part in lab.topology.heat_parts)


def _copy(source: Path, target: Path) -> None:
    """Copy a data folder; most of its large files is empty, and takes no room in the copy."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", "--sparse=always", str(source), str(target)], check=True)


def _fill(donor: Lab, cancel: Event | None) -> None:
    """Make the databases as an operator does: new schemas, Keystone's bootstrap, and the accounts."""
    home = files.make_folder(mariadb.home(donor))
    install = [str(donor.programs.mariadb_install_db), "--no-defaults", f"--datadir={home / 'data'}"]
    install += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
    if os.geteuid() == 0:
        install.append("--user=root")
    run(donor, "mariadb", install, 120, cancel=cancel)
    mariadb.configure(donor)
    keystone.prepare(donor)
    start(donor, mariadb.daemon(donor), cancel)
    start(donor, memcached.daemon(donor), cancel)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_sync, donor, name, cancel) for name in mariadb.DATABASES]:
            done.result()
    keystone.bootstrap(donor, cancel)
    start(donor, keystone.daemon(donor), cancel)
    bootstrap_accounts.create(donor)
    for part in ("keystone", "memcached"):
        processes.terminate(donor.folder, part)
    processes.send(processes.running(donor.folder, "mariadb"), donor.folder, signal.SIGTERM)
    try:
        until(lambda: not processes.running(donor.folder, "mariadb"), 60, cancel=cancel)
    except DeadlineError as problem:
        raise DaemonError(
            "mariadb", "did not stop after the template was created", tail(donor.log("mariadb"))
        ) from problem


def _sync(donor: Lab, database: str, cancel: Event | None) -> None:
    conf = mariadb.home(donor) / f"{database}.conf"
    write_private(conf, f"[database]\nconnection = {mariadb.url(donor, database)}\n")
    release = _newest(donor) if database == "heat" else WITH_KEYSTONE
    program = donor.programs.heat(f"{database}-manage", release)
    run(donor, "mariadb", [program, "--config-file", str(conf), "db_sync"], 240, cancel=cancel)
