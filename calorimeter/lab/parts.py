"""What can be done to one part of a lab: crash it, stop it, freeze it, take it out of the proxy, …"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from calorimeter.core.errors import InputError, unknown
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import lock, part_faults, processes
from calorimeter.lab.daemons import daemon, haproxy, heat, keystone, mariadb, memcached, rabbitmq
from calorimeter.lab.daemons.daemon import Daemon, DaemonError
from calorimeter.lab.sample import hosts
from calorimeter.lab.topology import Lab

STOP_S = 60.0


def daemon_of(lab: Lab, part: str) -> Daemon:
    """How a part is started; raises `InputError` where the lab has none of that name."""
    fixed: dict[str, Callable[[Lab], Daemon]] = {
        "rabbitmq": rabbitmq.daemon,
        "mariadb": mariadb.daemon,
        "memcached": memcached.daemon,
        "keystone": keystone.daemon,
        "proxy": haproxy.daemon,
    }
    if part in fixed:
        return fixed[part](lab)
    if part in lab.topology.heat_parts:
        return heat.daemon(lab, part)
    known = (*lab.topology.parts, *(hosts.HOSTS if lab.topology.sample else ()))
    raise unknown(f"lab {lab.topology.name}", "part", part, known)


def state(found: list[processes.Process]) -> str:
    """`running`, `frozen` or `stopped`, of a part that has these processes."""
    if not found:
        return "stopped"
    return "frozen" if all(process.state == "T" for process in found) else "running"


def act(lab: Lab, part: str, action: str) -> int:
    """Do one of `ACTIONS`, and give the moment it took effect, in ns since the epoch.

    What brings back (`start`, `thaw`, `undrain`) may be repeated; what breaks raises `InputError` where
    the part is not running, so that a fault that did not happen is noticed.
    """
    if lab.topology.sample and part in hosts.HOSTS:
        return hosts.act(lab, part, action)
    if action not in ACTIONS:
        raise unknown(f"lab part {part}", "action", action, ACTIONS)
    what = daemon_of(lab, part)
    if action == "start":
        return _start(lab, what)
    with lock.held(lab.folder, 30):
        return ACTIONS[action](lab, part)


def _signal(lab: Lab, part: str, signum: signal.Signals) -> int:
    found = processes.running(lab.folder, part)
    if not found:
        raise InputError(f"lab part {part}", "is not running", f"`calorimeter lab part {part} start` first")
    at = time.time_ns()
    processes.send(found, lab.folder, signum)
    return at


def _kill(lab: Lab, part: str) -> int:
    at = _signal(lab, part, signal.SIGKILL)
    processes.kill(lab.folder, part)
    return at


def _stop(lab: Lab, part: str) -> int:
    """End it with SIGTERM, and then what it leaves."""
    found = _masters(lab, part)
    if not found:
        raise InputError(f"lab part {part}", "is not running", f"`calorimeter lab part {part} start` first")
    at = time.time_ns()
    processes.send(found, lab.folder, signal.SIGTERM)
    try:
        until(lambda: not _masters(lab, part), STOP_S)
    except DeadlineError as problem:
        raise DaemonError(
            part, f"did not stop within {STOP_S:g} s", daemon.tail(lab.log(part))
        ) from problem
    processes.kill(lab.folder, part)
    return at


def _masters(lab: Lab, part: str) -> list[processes.Process]:
    """Who gets a part's SIGTERM: leaders of sessions, who then end what they started.

    Of RabbitMQ the Erlang VM alone: it is no leader, without its helpers, who are, it cannot stop
    cleanly, and epmd outlives it.
    """
    found = processes.running(lab.folder, part)
    if part == "rabbitmq":
        return [each for each in found if each.name == "beam.smp"]
    return [each for each in found if each.pid == each.session]


def _freeze(lab: Lab, part: str) -> int:
    return _signal(lab, part, signal.SIGSTOP)


def _thaw(lab: Lab, part: str) -> int:
    at = time.time_ns()
    processes.send(processes.running(lab.folder, part), lab.folder, signal.SIGCONT)
    return at


def _drain(lab: Lab, part: str) -> int:
    return _set_state(lab, part, "drain")


def _undrain(lab: Lab, part: str) -> int:
    return _set_state(lab, part, "ready")


def _set_state(lab: Lab, part: str, wanted: str) -> int:
    section = haproxy.SECTIONS.get(heat.kind(part))
    if section is None:
        raise InputError(f"lab part {part}", f"cannot be set to {wanted}", "valid: a rest or cfn part")
    at = time.time_ns()
    try:
        answer = haproxy.command(lab, f"set server {section}/{part} state {wanted}").strip()
    except OSError as problem:
        raise InputError("proxy", f"its stats socket does not answer ({problem.strerror})") from problem
    if answer:
        raise InputError("proxy", answer)
    return at


def _start(lab: Lab, what: Daemon) -> int:
    """Start it as at first, and wait until it serves; one that is frozen or drained stays so."""
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        if _masters(lab, what.part):
            return at
        processes.kill(lab.folder, what.part)
        with suppress(FileNotFoundError):
            (lab.folder / "rabbitmq" / "pid").unlink()
        process = daemon.launch(lab, what)
    daemon.await_ready(lab, what, process)
    return at


ACTIONS: dict[str, Callable[[Lab, str], int]] = {
    "kill": _kill,
    "stop": _stop,
    "start": lambda lab, part: _start(lab, daemon_of(lab, part)),
    "freeze": _freeze,
    "thaw": _thaw,
    "drain": _drain,
    "undrain": _undrain,
    **{action: partial(part_faults.act, action=action) for action in part_faults.ACTIONS},
}
"""Action → what does it, under the lab's lock."""
