"""`calorimeter lab upgrade`: one step of an upgrade of a running lab."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, get_args

import click

from calorimeter.commands.lab_options import NAME, daemons, open_lab, option, say
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.shown_text import quoted

if TYPE_CHECKING:
    from calorimeter.lab.lab_state import Lab
    from calorimeter.lab.lab_topology import Release

ACTIONS = (
    *("install", "sync-database", "add-vhost", "remove-vhost"),
    *("start", "start-beside", "remove-beside", "remove-engine", "reload", "reload-alone"),
)

OF_A_PART = ACTIONS[4:]
"""Actions that need PART."""

OF_A_RELEASE = ("install", "sync-database", "start", "start-beside")
"""Actions that the lab must be able to do with the release."""


@click.command("upgrade", short_help="Do one step of an upgrade of a running lab.",
               epilog="Example: calorimeter lab upgrade start rest-1 --to 25 --vhost b")  # fmt: skip
@click.argument("action")
@click.argument("part", required=False)
@option("--to", "Release of Heat: 24, 25, 26 or 27 (default: that of most parts).")
@option("--vhost", "RabbitMQ's virtual host (default: that of most parts).")
@NAME
def upgrade(action: str, part: str | None, to: str | None, vhost: str | None, name: str) -> None:
    """Do ACTION, one step of an upgrade; `calorimeter upgrade` runs a whole procedure of them under load.

    install makes the environment of a release; sync-database runs its `heat-manage db_sync`; add-vhost and
    remove-vhost change RabbitMQ; start starts the stopped PART as the release on the virtual host;
    start-beside starts one more engine beside the engine PART, and remove-beside removes it again;
    remove-engine stops PART, the first or the last engine, for good; reload starts a new HAProxy for PART
    that takes over the listening sockets of the old one, reload-alone one that binds its own. Each may be
    repeated.
    """
    from calorimeter.lab import release_change
    from calorimeter.lab.lab_topology import VHOST_NAME

    if action not in ACTIONS:
        raise unknown("lab upgrade", "action", action, ACTIONS)
    if (part is not None) != (action in OF_A_PART):
        raise InputError(f"lab upgrade {action}", f"{'a' if part else 'no'} part given", _valid(action))
    opened = open_lab(name)
    release = _release(to, opened)
    place = opened.topology.vhost if vhost is None else vhost
    if re.fullmatch(VHOST_NAME, place) is None:
        raise InputError("--vhost", f"{quoted(place)} given", "valid: / or 1 to 31 of a-z, 0-9 and -")
    why = release_change.why_not(opened.topology, release) if action in OF_A_RELEASE else None
    if why is not None:
        raise InputError(f"lab {name}", f"cannot be changed to Heat {release}: {why}")
    opened.enter_network()
    steps: dict[str, Callable[[], object]] = {
        "install": lambda: release_change.install(opened, release, say),
        "sync-database": lambda: release_change.sync_database(opened, release),
        "add-vhost": lambda: release_change.add_vhost(opened, place),
        "start": lambda: release_change.start_as(opened, str(part), release, place),
        "start-beside": lambda: release_change.start_beside(opened, str(part), release, place),
        "remove-beside": lambda: release_change.remove_beside(opened, place),
        "reload": lambda: release_change.reload_proxy(opened, str(part), alone=False),
        "reload-alone": lambda: release_change.reload_proxy(opened, str(part), alone=True),
        "remove-engine": lambda: release_change.remove_engine(opened, str(part)),
        "remove-vhost": lambda: release_change.remove_vhost(opened, place),
    }
    with daemons():
        steps[action]()
    click.echo(f"lab {name}: {action} {part or ''}".rstrip() + " is done", err=True)


def _valid(action: str) -> str:
    return f"valid: {action} PART" if action in OF_A_PART else f"valid: {action} alone"


def _release(to: str | None, opened: Lab) -> Release:
    from calorimeter.lab.lab_topology import Release

    known: tuple[Release, ...] = get_args(Release)
    if to is None:
        return opened.topology.heat
    found = next((each for each in known if each == to), None)
    if found is None:
        raise unknown("--to", "release", to, known)
    return found
