"""Sabotages of a lab's last engine that gates E and L must find.

A sabotage changes the engine's heat.conf and restarts it, or starts one more engine. The lab's
deployment.toml is unchanged: it describes the intended state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from calorimeter.config.heat import heat_conf_writer
from calorimeter.core import files
from calorimeter.core.errors import unknown
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import lab_state, lock, processes
from calorimeter.lab.daemons import broker_queries, broker_vhosts, daemon, heat, rabbitmq
from calorimeter.lab.daemons.daemon import DaemonError
from calorimeter.lab.lab_state import Lab, write_private

ELSEWHERE = "elsewhere"
"""A vhost that no API uses."""

MANY = 4
READY_S = 90.0


EXTRA = "engine-extra"
"""The part that is an engine too many: it shares the heat.conf and the host name of the last engine."""


@dataclass(frozen=True, slots=True)
class EngineSabotage:
    """A sabotage: description, changed options, and what becomes of the engine.

    With `dies` it exits; with `extra` one more engine starts beside it.
    """

    what: str
    options: Callable[[Lab], heat_conf_writer.Sections] = lambda _: {}
    vhost: str = "/"
    dies: bool = False
    extra: bool = False


ENGINE_SABOTAGES: Mapping[str, EngineSabotage] = {
    "engine-vhost": EngineSabotage(
        "the last engine on another vhost",
        lambda lab: {"DEFAULT": {"transport_url": f"{rabbitmq.transport(lab)}{ELSEWHERE}"}},
        vhost=ELSEWHERE,
    ),
    "engine-workers": EngineSabotage(
        f"the last engine with {MANY} workers", lambda _: {"DEFAULT": {"num_engine_workers": MANY}}
    ),
    "engine-prefetch": EngineSabotage(
        "the last engine takes one message at a time",
        lambda _: {"oslo_messaging_rabbit": {"rabbit_qos_prefetch_count": 1}},
    ),
    "engine-key": EngineSabotage(
        "the last engine with another auth_encryption_key",
        lambda _: {"DEFAULT": {"auth_encryption_key": "0" * 32}},
    ),
    "engine-dies": EngineSabotage(
        "the last engine exits at start-up",
        lambda _: {"DEFAULT": {"num_engine_workers": "none"}},
        dies=True,
    ),
    EXTRA: EngineSabotage("one more engine under the host name of the last one", extra=True),
}
"""Name → the sabotage."""


def sabotage(name: str, what: str) -> None:
    """Apply one of `ENGINE_SABOTAGES` to the last engine of the lab called `name`.

    Raises `InputError` for an unknown sabotage or lab, `DaemonError` if it does not take effect.
    """
    if what not in ENGINE_SABOTAGES:
        raise unknown("lab sabotage", "sabotage", what, ENGINE_SABOTAGES)
    chosen = ENGINE_SABOTAGES[what]
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        if chosen.vhost != "/":
            broker_vhosts.make(lab, chosen.vhost)
        part = lab.topology.engine_parts[-1]
        options = heat_conf_writer.changed(heat.conf(lab, part), chosen.options(lab))
        _restart(lab, part, options, chosen)


def changed(name: str, options: heat_conf_writer.Sections) -> None:
    """Restart the last engine of the lab called `name` with additional options.

    This is a setting to compare with, not a sabotage. `heal` reverts it. Raises as `sabotage` does.
    """
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        part = lab.topology.engine_parts[-1]
        changed_conf = heat_conf_writer.changed(heat.conf(lab, part), options)
        _restart(lab, part, changed_conf, EngineSabotage(""))


def heal(name: str) -> None:
    """Restart the last engine of the lab called `name` with its own heat.conf, unless it runs with that.

    Raises as `sabotage` does.
    """
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        part = lab.topology.engine_parts[-1]
        options = heat.conf(lab, part)
        intact = files.read_text(heat.file(lab, part)) == heat_conf_writer.render(options)
        alone = not processes.running(lab.folder, EXTRA)
        if intact and alone and broker_queries.consumers_of(lab, part) == lab.topology.workers:
            return
        _restart(lab, part, options, EngineSabotage(""))


def _restart(lab: Lab, part: str, options: heat_conf_writer.Sections, wanted: EngineSabotage) -> None:
    before = {process.pid for name in (part, EXTRA) for process in processes.running(lab.folder, name)}
    processes.kill(lab.folder, part)
    processes.kill(lab.folder, EXTRA)
    try:
        until(lambda: not before & broker_queries.engine_consumers(lab, lab.topology.vhost).keys(), READY_S)
        write_private(heat.own_file(lab, part), heat_conf_writer.render(options))
        process = daemon.launch(lab, heat.daemon(lab, part))
        if wanted.dies:
            until(lambda: process.poll() is not None, READY_S)
        elif wanted.vhost == "/":
            until(lambda: _consumes(lab, part, part), READY_S)
        else:
            until(lambda: broker_vhosts.engine_consumers(lab, wanted.vhost) > 0, READY_S)
        if wanted.extra:
            daemon.launch(lab, replace(heat.daemon(lab, part), part=EXTRA))
            until(lambda: _consumes(lab, EXTRA, part), READY_S)
    except DeadlineError as problem:
        why = f"did not reach the state {wanted.what or 'healed'!r} within {READY_S:g} s"
        raise DaemonError(part, why, daemon.tail(lab.log(part))) from problem


def _consumes(lab: Lab, part: str, conf_of: str) -> bool:
    """Whether all workers of a part that has the heat.conf of `conf_of` consume."""
    return broker_queries.consumers_of(lab, part) == heat.workers(lab, conf_of)
