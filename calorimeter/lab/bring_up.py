"""Bring a lab up: daemons start in parallel, each after those it needs. All start, or none remain."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from threading import Event

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.host import signal_handlers
from calorimeter.core.waiting import CancelledError
from calorimeter.lab import deployment_file, lab_state, lock, ports, processes, programs, take_down
from calorimeter.lab.daemons import (
    bootstrap_accounts,
    daemon,
    haproxy,
    heat,
    keystone,
    mariadb,
    memcached,
    messaging,
    rabbitmq,
)
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.sample import layout, network

Say = Callable[[str], None]
"""Receives one line of progress."""


def up(asked: LabTopology, wanted: Mapping[str, int], say: Say) -> Lab:
    """Bring up the requested lab, with the requested front ports (`rest`, `cfn`).

    Raises `InputError` (missing programs, a taken port, a lab of that name is up) and `DaemonError`. Then,
    as after Ctrl-C and SIGTERM, nothing of the lab remains.
    """
    found = programs.found()
    folder = lab_state.folder(asked.name)
    lab_state.check_room(asked.processes, "lab up")
    with lock.held(folder, 2), signal_handlers.interrupted_by(SIGTERM, SIGHUP):
        _clear_remnant(folder, say)
        try:
            lab = _reserved(asked, wanted, folder, found)
            if asked.sample:
                network.make(asked.name)
                lab.enter_network()
            return _BringUp(lab, say).all()
        except BaseException:
            with signal_handlers.ignoring(SIGINT, SIGTERM, SIGHUP):
                take_down.clear(folder)
            raise


def _clear_remnant(folder: Path, say: Say) -> None:
    alive = processes.running(folder)
    if alive and (folder / "deployment.toml").exists():
        name = folder.name
        raise InputError(f"lab {name}", "is up", f"`calorimeter lab down --name {name}`, or another name")
    others = network.existing(folder.name)
    if others and not folder.exists():
        what = f"has network namespaces of an earlier lab ({others[0]}, …)"
        raise InputError(f"lab {folder.name}", what, f"`calorimeter lab down --name {folder.name}`")
    if alive or folder.exists():
        say("removing the remains of an earlier lab of this name")
        take_down.clear(folder)


def _reserved(asked: LabTopology, wanted: Mapping[str, int], folder: Path, found: programs.Programs) -> Lab:
    files.make_folder(folder / "logs")
    secrets = lab_state.fresh_secrets()
    if asked.sample:
        # The hosts are the sample's own, so no other program can hold these ports.
        reserved = layout.ports((*asked.rest_parts, *asked.cfn_parts))
        secrets["amqp"] = layout.BROKER_PASSWORD
    else:
        reserved = ports.reserve(asked.port_names, folder, wanted, udp=("log",))
    lab = Lab(folder, asked.model_copy(update={"ports": reserved}), secrets, found)
    lab_state.write(lab.topology, folder)
    lab_state.write_secrets(lab.secrets, folder)
    return lab


class _BringUp:
    """One bring-up: its steps, their order and their progress."""

    def __init__(self, lab: Lab, say: Say) -> None:
        self.lab = lab
        self.cancel = Event()
        self.began = time.monotonic()
        self._say = say

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self.began:5.1f} s  {text}")

    def all(self) -> Lab:
        """Start all daemons, write the deployment file, and return the lab with its final secrets."""
        lab = self.lab
        self.say(f"lab {lab.topology.name} in {lab.folder}")
        with ThreadPoolExecutor(max_workers=8) as pool:
            broker = pool.submit(self.broker)
            database = pool.submit(self.database)
            cache = pool.submit(self.simple, memcached.daemon(lab), ())
            identity = pool.submit(self.identity, (database, cache))
            services = pool.submit(self.heat, lab.topology.heat_parts, (broker, database))
            steps: list[Future[object]] = [broker, database, cache, identity, services]  # type: ignore[list-item]
            try:
                wait(steps, return_when=FIRST_EXCEPTION)
            finally:
                self.cancel.set()
            _raise_first(steps)
        self.cancel.clear()
        made = {**lab.secrets, **identity.result()}
        lab_state.write_secrets(made, lab.folder)
        self.lab = lab = Lab(lab.folder, lab.topology, made, lab.programs)
        haproxy.prepare(lab)
        self.simple(haproxy.daemon(lab), ())
        deployment_file.write(lab)
        return lab

    def after(self, needed: tuple[Future[None], ...]) -> None:
        """Wait for other steps. Raises `CancelledError` if one failed; that step reports the reason."""
        while not all(step.done() for step in needed):
            if self.cancel.wait(0.02):
                raise CancelledError
        if any(step.exception() for step in needed):
            raise CancelledError

    def simple(self, what: daemon.Daemon, needed: tuple[Future[None], ...]) -> None:
        self.after(needed)
        daemon.start(self.lab, what, self.cancel)
        self.say(f"{what.part} is ready")

    def broker(self) -> None:
        rabbitmq.prepare(self.lab, self.cancel, self.say)
        rabbitmq.start(self.lab, self.cancel)
        messaging.check_broker(self.lab)
        self.say(f"{' '.join(self.lab.topology.broker_parts)} is ready")

    def database(self) -> None:
        if not mariadb.has_template(self.lab):
            self.say("mariadb: creating the databases, once for all labs")
        mariadb.prepare(self.lab, self.cancel)
        self.simple(mariadb.daemon(self.lab), ())

    def identity(self, needed: tuple[Future[None], ...]) -> dict[str, str]:
        keystone.prepare(self.lab)
        self.after(needed)
        keystone.bootstrap(self.lab, self.cancel)
        self.simple(keystone.daemon(self.lab), ())
        return bootstrap_accounts.create(self.lab)

    def heat(self, parts: tuple[str, ...], needed: tuple[Future[None], ...]) -> None:
        for part in parts:
            heat.prepare(self.lab, part)
        self.after(needed)
        daemons = [heat.daemon(self.lab, part) for part in parts]
        launched = [(what, daemon.launch(self.lab, what)) for what in daemons]
        for what, process in launched:
            daemon.await_ready(self.lab, what, process, self.cancel)
            self.say(f"{what.part} is ready")


def _raise_first(steps: list[Future[object]]) -> None:
    problems = [step.exception() for step in steps if step.done()]
    for problem in problems:
        if problem is not None and not isinstance(problem, CancelledError):
            raise problem
    for step in steps:
        step.result()
