"""Bring a lab up: daemons start in parallel, each after those it needs. All start, or none remain."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGTERM
from threading import Condition, Event, Lock

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.host import signal_handlers
from calorimeter.core.waiting import CancelledError
from calorimeter.lab import (
    database_template,
    deployment_file,
    heat_environments,
    lab_state,
    lock,
    ports,
    processes,
    programs,
    start_plan,
    take_down,
    tls_files,
)
from calorimeter.lab.daemons import daemon, rabbitmq
from calorimeter.lab.hosts import network
from calorimeter.lab.hosts.layouts import LAYOUTS
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.sample.layout import BROKER_PASSWORD
from calorimeter.lab.start_plan import PartStart

Say = Callable[[str], None]
"""Receives one line of progress."""


def up(asked: LabTopology, wanted: Mapping[str, int], say: Say) -> Lab:
    """Bring up the requested lab, with the requested front ports (`rest`, `cfn`).

    Raises `InputError` (missing programs, a taken port, a lab of that name is up) and `DaemonError`. Then,
    as after Ctrl-C and SIGTERM, nothing of the lab remains.
    """
    found = programs.found(asked.haproxy, asked.rabbitmq)
    folder = lab_state.folder(asked.name)
    if asked.keepalived_parts:
        programs.keepalived()
    lab_state.check_room(asked.processes, "lab up")
    with lock.held(folder, 2), signal_handlers.interrupted_by(SIGTERM, SIGHUP):
        _clear_remnant(folder, say)
        try:
            files.make_folder(folder / "logs")
            ports.claim_name(folder)
            heat_environments.make_missing(map(asked.release, asked.heat_parts), say)
            lab = _reserved(asked, wanted, folder, found)
            if lab.layout:
                network.make(asked.name, lab.layout)
                lab.enter_network()
            if asked.tls:
                _certify(lab, say)
            return _BringUp(lab, say).all()
        except BaseException:
            with signal_handlers.ignoring(SIGINT, SIGTERM, SIGHUP):
                take_down.clear(folder)
            raise


def _clear_remnant(folder: Path, say: Say) -> None:
    holder = ports.name_holder(folder)
    if holder != folder and processes.running(holder):
        raise InputError(
            f"lab {folder.name}", f"is up in another state folder ({holder})", "another --name"
        )
    alive = processes.running(folder)
    if alive and (folder / "deployment.toml").exists():
        name = folder.name
        raise InputError(f"lab {name}", "is up", f"`calorimeter lab down --name {name}`, or another name")
    others = network.existing(folder.name) if ports.holds_name(folder) else []
    if others and not folder.exists():
        what = f"has network namespaces of an earlier lab ({others[0]}, …)"
        raise InputError(f"lab {folder.name}", what, f"`calorimeter lab down --name {folder.name}`")
    if alive or folder.exists():
        say("removing the remains of an earlier lab of this name")
        take_down.clear(folder)


def _reserved(asked: LabTopology, wanted: Mapping[str, int], folder: Path, found: programs.Programs) -> Lab:
    secrets = lab_state.fresh_secrets()
    if asked.sample:
        secrets["amqp"] = BROKER_PASSWORD
    if asked.layout in LAYOUTS:
        # The hosts are the lab's own, so no other program can hold these ports.
        reserved = LAYOUTS[asked.layout].ports(asked.port_names)
    else:
        reserved = ports.reserve(asked.port_names, folder, wanted, udp=("log",))
    lab = Lab(folder, asked.model_copy(update={"ports": reserved}), secrets, found)
    lab_state.write(lab.topology, folder)
    lab_state.write_secrets(lab.secrets, folder)
    return lab


def _certify(lab: Lab, say: Say) -> None:
    """Give the lab a certificate for all its addresses."""
    addresses = sorted({lab.host(name) for name in lab.topology.port_names})
    made, expires = tls_files.write(lab.tls_folder, lab.topology.name, addresses)
    whose = "made now, for all labs" if made else "of all labs"
    say(f"TLS with the certificate authority {whose}, which expires on {expires:%Y-%m-%d}")


class _BringUp:
    """One bring-up: all parts at once, each after those it needs, and their progress."""

    def __init__(self, lab: Lab, say: Say) -> None:
        self.lab = lab
        self.cancel = Event()
        self.preparing = Lock()
        self.began = time.monotonic()
        self.starts = start_plan.plan(lab)
        self.waiting = dict(self.starts)
        self.starting: set[str] = set()
        self.changed = Condition()
        self._say = say

    def say(self, text: str) -> None:
        self._say(f"{time.monotonic() - self.began:5.1f} s  {text}")

    def all(self) -> Lab:
        """Start all daemons, and write the deployment file. Raises the first problem of a part."""
        self.say(f"lab {self.lab.topology.name} in {self.lab.folder}")
        if not database_template.exists(self.lab):
            self.say("mariadb: creating the databases, once for all labs")
            database_template.make(self.lab, self.cancel)
        if not rabbitmq.has_template(self.lab):
            self.say("rabbitmq: creating the database, once for all labs")
            rabbitmq.make_template(self.lab, self.cancel)
        with ThreadPoolExecutor(max_workers=len(self.starts)) as pool:
            steps = [pool.submit(self.start, start) for start in self.starts.values()]
            try:
                text = deployment_file.render(self.lab)
                wait(steps, return_when=FIRST_EXCEPTION)
            finally:
                self.cancel.set()
            _raise_first(steps)
        deployment_file.write(self.lab, text)
        return self.lab

    def start(self, start: PartStart) -> None:
        """Start one part once those that it needs serve. Raises `CancelledError` if another one failed."""
        with self.preparing:  # parts share files
            start.prepare(self.lab, self.cancel)
        with self.changed:
            while not self.may_start(start):
                self.changed.wait(0.1)
                if self.cancel.is_set():
                    raise CancelledError
            del self.waiting[start.part]
            self.starting.add(start.part)
        daemon.start(self.lab, start.daemon(self.lab), self.cancel)
        start.check(self.lab)
        with self.changed:
            self.starting.remove(start.part)
            self.changed.notify_all()
        self.say(f"{start.part} is ready")

    def may_start(self, start: PartStart) -> bool:
        """Whether all parts that it needs serve, and its turn has come."""
        if not self.served(start):
            return False
        brokers = set(self.lab.topology.broker_parts)
        if not start.in_turn or brokers.isdisjoint(self.starting | set(self.waiting)):
            return True
        first = next(each for each in self.waiting.values() if each.in_turn and self.served(each))
        loading = sum(self.starts[part].in_turn for part in self.starting)
        return start is first and loading < max(1, len(os.sched_getaffinity(0)) - 1)

    def served(self, start: PartStart) -> bool:
        """Whether all parts that it needs serve."""
        return not any(part in self.waiting or part in self.starting for part in start.needs)


def _raise_first(steps: list[Future[None]]) -> None:
    problems = [step.exception() for step in steps if step.done()]
    for problem in problems:
        if problem is not None and not isinstance(problem, CancelledError):
            raise problem
    for step in steps:
        step.result()
