"""The database of a broker, copied from a template that is made once: a cluster that has been formed.

A template holds no account and no secret: each node reads its lab's account from its definition file.
"""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
from pathlib import Path
from threading import Event

from calorimeter.core import files
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import processes, shared_cache
from calorimeter.lab.daemons import rabbitmq_node, rabbitmq_program
from calorimeter.lab.daemons.daemon import DaemonError, tail
from calorimeter.lab.lab_state import Lab

VERSION = 1
"""Version of the template's contents."""

STOP_S = 60.0


def path(lab: Lab) -> Path:
    """Where the template for this version of RabbitMQ and this number of nodes is, or will be."""
    installed = lab.programs.rabbitmq.resolve()
    text = f"{VERSION} {installed} {rabbitmq_program.version(lab)} {installed.stat().st_mtime_ns}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    return shared_cache.folder() / f"rabbitmq-{lab.topology.brokers}-{digest}"


def fill(lab: Lab, part: str) -> None:
    """Give a node its database from the template."""
    _copy(path(lab) / part, rabbitmq_node.database(lab, part))
    if part == lab.topology.broker_parts[0]:
        rabbitmq_node.start_alone(lab, part)


def keep(lab: Lab, cancel: Event | None) -> None:
    """Make the template of the lab's nodes, which run without accounts: stop them, keep their databases.

    They are stopped one after another: nodes that stop together would wait for one another when they start,
    each for the tables of a node that it takes for the last one that ran.
    """
    parts = lab.topology.broker_parts
    for part in reversed(parts):
        _stop(lab, part, cancel)
    partial = shared_cache.folder() / "rabbitmq.partial"
    shutil.rmtree(partial, ignore_errors=True)
    files.make_folder(partial)
    for part in parts:
        source = rabbitmq_node.database(lab, part)
        for left in source.glob("*.pid"):
            left.unlink()
        _copy(source, partial / part)
    partial.rename(path(lab))


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def _stop(lab: Lab, part: str, cancel: Event | None) -> None:
    processes.send(masters(lab, part), lab.folder, signal.SIGTERM)
    try:
        until(lambda: not masters(lab, part), STOP_S, cancel=cancel)
    except DeadlineError as problem:
        what = "did not stop after the template was created"
        raise DaemonError(part, what, tail(lab.log(part))) from problem
    processes.kill(lab.folder, part)


def masters(lab: Lab, part: str) -> list[processes.LabProcess]:
    """The Erlang VM of a node, which alone receives its SIGTERM.

    The VM is not a session leader, its helpers are; without them it cannot stop cleanly.
    """
    return [each for each in processes.running(lab.folder, part) if each.name == "beam.smp"]
