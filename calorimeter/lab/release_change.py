"""The steps of an upgrade of a running lab: another release of Heat, part by part, on another virtual host.

Each step changes one thing, may be repeated, and ends when it took effect. Nothing is stopped here: that is
`lab part PART stop`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from calorimeter.core.errors import InputError, unknown
from calorimeter.lab import (
    combinations,
    deployment_file,
    heat_environments,
    lab_state,
    lock,
    parts,
    processes,
)
from calorimeter.lab.daemons import broker_vhosts, daemon, haproxy, heat, mariadb
from calorimeter.lab.lab_state import Lab, write_private
from calorimeter.lab.lab_topology import LabTopology, Release

SYNC_S = 240.0

Say = Callable[[str], None]


def install(lab: Lab, release: Release, say: Say) -> None:
    """Make the environment of a release, if it is missing."""
    heat_environments.make_missing([release], say)


def sync_database(lab: Lab, release: Release) -> None:
    """Run `heat-manage db_sync` of a release on the lab's database."""
    conf = lab.folder / "heat" / "db-sync.conf"
    write_private(conf, f"[database]\nconnection = {mariadb.url(lab, 'heat')}\n")
    program = lab.programs.heat("heat-manage", release)
    daemon.run(lab, "mariadb", [program, "--config-file", str(conf), "db_sync"], SYNC_S)


def add_vhost(lab: Lab, vhost: str) -> None:
    """Make a virtual host of RabbitMQ."""
    broker_vhosts.make(lab, vhost)


def remove_vhost(lab: Lab, vhost: str) -> None:
    """Remove a virtual host that no part uses any more. Raises `InputError` if one does."""
    users = [part for part in lab.topology.heat_parts if lab.topology.vhost_of(part) == vhost]
    if users:
        raise InputError(f"virtual host {vhost}", f"{', '.join(users)} use it", "move them first")
    broker_vhosts.remove(lab, vhost)


def start_as(lab: Lab, part: str, release: Release, vhost: str) -> Lab:
    """Start a stopped part of Heat as a release, on a virtual host; one that runs as that is left alone.

    Raises `InputError` if the part runs as another release or on another virtual host.
    """
    if part not in lab.topology.heat_parts:
        raise unknown(f"lab {lab.topology.name}", "part of Heat", part, lab.topology.heat_parts)
    topology = lab.topology
    same = topology.release(part) == release and topology.vhost_of(part) == vhost
    if processes.running(lab.folder, part):
        if same:
            return lab
        given = f"runs as Heat {topology.release(part)} on {topology.vhost_of(part)}"
        raise InputError(f"lab part {part}", given, f"`calorimeter lab part {part} stop` first")
    after = _changed(
        lab,
        releases={**topology.releases, part: release},
        vhosts={**topology.vhosts, part: vhost},
    )
    with lock.held(lab.folder, 30):
        heat.own_file(after, part).unlink(missing_ok=True)  # a sabotage's, of another release
        heat.prepare(after, part)
        _keep(after)
    parts.act(after, part, "start")
    return after


def start_beside(lab: Lab, beside: str, release: Release, vhost: str) -> str:
    """Start one more engine beside an old one, as a release on a virtual host; its name.

    Old engines are those on other virtual hosts; the first of N gets engine N + 1 beside it, and so on, in
    this order. One that runs already is left alone. Raises `InputError` out of turn.
    """
    topology = lab.topology
    old = [part for part in topology.engine_parts if topology.vhost_of(part) != vhost]
    if beside not in old:
        raise unknown(f"lab {topology.name}", "engine on another virtual host", beside, old)
    part = f"engine-{topology.first_engine + len(old) + old.index(beside)}"
    if part in topology.engine_parts and processes.running(lab.folder, part):
        return part
    if part != f"engine-{topology.first_engine + topology.engines}":
        raise InputError(f"lab part {beside}", "is out of turn", f"valid: in the order {', '.join(old)}")
    after = _changed(
        lab,
        engines=topology.engines + 1,
        releases={**topology.releases, part: release},
        vhosts={**topology.vhosts, part: vhost},
    )
    with lock.held(lab.folder, 30):
        lab_state.check_room(after.topology.processes - topology.processes, "lab upgrade")
        heat.prepare(after, part)
        what = heat.daemon(after, part)
        process = daemon.launch(after, what)
        try:
            daemon.await_ready(after, what, process)
        except BaseException:
            processes.kill(after.folder, part)
            raise
        _keep(after)
    return part


def remove_beside(lab: Lab, vhost: str) -> Lab:
    """Stop and forget the last engine, if it is on a virtual host: it was started beside an old one."""
    last = lab.topology.engine_parts[-1]
    return remove_engine(lab, last) if lab.topology.vhost_of(last) == vhost else lab


def remove_engine(lab: Lab, part: str) -> Lab:
    """Stop an engine, the first or the last, and forget it. One that is not there is no error.

    Raises `InputError` for another one, and for the only engine.
    """
    topology = lab.topology
    engines = topology.engine_parts
    if part not in engines:
        return lab
    if len(engines) == 1 or part not in (engines[0], engines[-1]):
        raise InputError(f"lab part {part}", "cannot be removed", f"valid: {engines[0]}, {engines[-1]}")
    if processes.running(lab.folder, part):
        parts.act(lab, part, "stop")
    first = topology.first_engine + (part == engines[0])
    after = _changed(
        lab,
        first_engine=first,
        engines=topology.engines - 1,
        releases=_without(topology.releases, part),
        vhosts=_without(topology.vhosts, part),
    )
    with lock.held(lab.folder, 30):
        _keep(after)
    return after


def reload_proxy(lab: Lab, part: str, *, alone: bool) -> None:
    """Start a new HAProxy in place of one; `alone`, it does not take over its listening sockets."""
    if part not in lab.topology.proxy_parts:
        raise unknown(f"lab {lab.topology.name}", "proxy", part, lab.topology.proxy_parts)
    with lock.held(lab.folder, 30):
        if not processes.running(lab.folder, part):
            raise processes.not_running(part)
        haproxy.reload(lab, part, alone=alone)


def why_not(topology: LabTopology, release: Release) -> str | None:
    """Why this lab cannot be changed to a release; None if it can."""
    if topology.engines_per_host > 1:
        return "its engines share heat.conf files: valid without --engines-per-host"
    asked = topology.model_copy(update={"heat": release, "releases": {}})
    try:
        combinations.check(asked, {})
    except InputError as problem:
        return f"{problem.given}; {problem.valid}" if problem.valid else problem.given
    return None


def _without(table: dict[str, str] | dict[str, Release], part: str) -> dict[str, str]:
    return {name: value for name, value in table.items() if name != part}


def _changed(lab: Lab, **update: object) -> Lab:
    """The lab with another topology, in which what all parts have in common is said once."""
    topology = lab.topology.model_copy(update=update)
    known = topology.heat_parts
    releases = {part: topology.release(part) for part in known}
    vhosts = {part: topology.vhost_of(part) for part in known}
    most = Counter(releases.values()).most_common(1)[0][0]
    place = Counter(vhosts.values()).most_common(1)[0][0]
    common = {
        "heat": most,
        "releases": {part: each for part, each in releases.items() if each != most},
        "vhost": place,
        "vhosts": {part: each for part, each in vhosts.items() if each != place},
    }
    return replace(lab, topology=topology.model_copy(update=common))


def _keep(lab: Lab) -> None:
    lab_state.write(lab.topology, lab.folder)
    deployment_file.write(lab)
