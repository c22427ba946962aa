"""Actions on one part of a lab: kill, stop, start, freeze, thaw, drain, undrain, and the faults."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial

from calorimeter.core.errors import InputError, unknown
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import broker_faults, lock, part_faults, processes, start_plan
from calorimeter.lab.daemons import daemon, haproxy, heat, rabbitmq, rabbitmq_template
from calorimeter.lab.daemons.daemon import Daemon, DaemonError
from calorimeter.lab.hosts import host_faults
from calorimeter.lab.lab_state import Lab

STOP_S = 60.0


def daemon_of(lab: Lab, part: str) -> Daemon:
    """The daemon of a part. Raises `InputError` if the lab has no part of that name."""
    starts = start_plan.plan(lab)
    if part in starts:
        return starts[part].daemon(lab)
    known = (*starts, *(lab.layout.machines if lab.layout else ()))
    raise unknown(f"lab {lab.topology.name}", "part", part, known)


def state(found: list[processes.LabProcess]) -> str:
    """`running`, `frozen` or `stopped`, from the processes of a part."""
    if not found:
        return "stopped"
    return "frozen" if all(process.state == "T" for process in found) else "running"


def act(lab: Lab, part: str, action: str) -> int:
    """Apply one of `ACTIONS` to a part, and return when it took effect (ns since the epoch).

    Healing actions (`start`, `thaw`, `undrain`) may be repeated. A fault raises `InputError` if the part is
    not running, so that a fault that did not happen is noticed.
    """
    if lab.layout and part in lab.layout.machines:
        return host_faults.act(lab, part, action, daemon_of)
    if action not in ACTIONS:
        raise unknown(f"lab part {part}", "action", action, ACTIONS)
    what = daemon_of(lab, part)
    if action == "start":
        return _start(lab, what)
    with lock.held(lab.folder, 30):
        at = ACTIONS[action](lab, part)
    if action in ("thaw", "rejoined") and part in lab.topology.broker_parts and lab.topology.brokers > 1:
        broker_faults.restore(lab, part)
    return at


def _signal(lab: Lab, part: str, signum: signal.Signals) -> int:
    found = processes.running(lab.folder, part)
    if not found:
        raise processes.not_running(part)
    at = time.time_ns()
    processes.send(found, lab.folder, signum)
    return at


def _kill(lab: Lab, part: str) -> int:
    if part in lab.topology.keepalived_parts:
        # Frozen first: else one process notices the death of the other, and gives the address back.
        at = _signal(lab, part, signal.SIGSTOP)
    elif processes.running(lab.folder, part):
        at = time.time_ns()
    else:
        raise processes.not_running(part)
    processes.kill(lab.folder, part)
    return at


def _stop(lab: Lab, part: str) -> int:
    """End it with SIGTERM, then kill what remains of it."""
    found = _masters(lab, part)
    if not found:
        raise processes.not_running(part)
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


def _masters(lab: Lab, part: str) -> list[processes.LabProcess]:
    """The processes that receive a part's SIGTERM: session leaders, which end their children.

    For RabbitMQ it is the Erlang VM alone.
    """
    if part in lab.topology.broker_parts:
        return rabbitmq_template.masters(lab, part)
    found = processes.running(lab.folder, part)
    return [each for each in found if each.pid == each.session]


def _thaw(lab: Lab, part: str) -> int:
    at = time.time_ns()
    processes.send(processes.running(lab.folder, part), lab.folder, signal.SIGCONT)
    return at


def _set_state(lab: Lab, part: str, wanted: str) -> int:
    section = haproxy.SECTIONS.get(heat.kind(part))
    if section is None:
        raise InputError(f"lab part {part}", f"cannot be set to {wanted}", "valid: a REST or CFN part")
    at = time.time_ns()
    for proxy in lab.topology.proxy_parts:
        try:
            answer = haproxy.command(lab, f"set server {section}/{part} state {wanted}", proxy).strip()
        except OSError as problem:
            raise InputError(
                proxy, f"does not answer on its stats socket ({problem.strerror})"
            ) from problem
        if answer:
            raise InputError(proxy, answer)
    return at


def _start(lab: Lab, what: Daemon) -> int:
    """Start it and wait until it serves. A part that runs is left as it is, frozen or drained.

    A keepalived is thawed: a `kill` that was itself killed leaves it frozen.
    """
    with lock.held(lab.folder, 30):
        at = time.time_ns()
        if _masters(lab, what.part):
            return _thaw(lab, what.part) if what.part in lab.topology.keepalived_parts else at
        processes.kill(lab.folder, what.part)
        if what.part in lab.topology.broker_parts:
            rabbitmq.prepare_restart(lab, what.part)
        process = daemon.launch(lab, what)
    daemon.await_ready(lab, what, process)
    return at


ACTIONS: dict[str, Callable[[Lab, str], int]] = {
    "kill": _kill,
    "stop": _stop,
    "start": lambda lab, part: _start(lab, daemon_of(lab, part)),
    "freeze": partial(_signal, signum=signal.SIGSTOP),
    "thaw": _thaw,
    "drain": partial(_set_state, wanted="drain"),
    "undrain": partial(_set_state, wanted="ready"),
    **{action: partial(part_faults.act, action=action) for action in part_faults.ACTIONS},
    **broker_faults.ACTIONS,
}
"""Action → function that applies it, called with the lab's lock held."""
