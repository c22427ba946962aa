"""The command `control`: what the drivers of a deployment would run, and which gates that opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calorimeter.commands.options import DEPLOYMENT
from calorimeter.core import paths, wrapping
from calorimeter.core.deployment import as_written, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.schedule import FAULTS, commands

if TYPE_CHECKING:
    from calorimeter.core.control.controlled_part import Part
    from calorimeter.core.deployment import Deployment
    from calorimeter.core.faults.schedule import FaultCommands
    from calorimeter.gates.registry import Break, Gate

BY_HAND = "as [[parts]] has it"
"""In place of a command of the owner's, which may contain a password."""


@click.group()
def control() -> None:
    """Show how the parts of a deployment are broken and healed."""


@control.command(epilog="Example: calorimeter control check deployment.toml")
@DEPLOYMENT
def check(deployment: Path | None) -> int:
    """Show for each part of DEPLOYMENT the commands that would inject and heal each fault; run none.

    Then show which gates these commands open, and what others lack. Commands that the owner wrote in
    [[parts]] are not shown. DEPLOYMENT is a deployment.toml (default: $CALORIMETER_DEPLOYMENT,
    ./deployment.toml, or the lab's).

    Exit status: 0; 2 the file has neither [control] nor [[parts]].
    """
    from calorimeter.gates.registry import known

    path = paths.deployment(deployment)
    described, by_owner = read(path), as_written(path)
    if not described.parts:
        raise InputError(
            str(path), "has no [control] and no [[parts]]", 'valid: [control] driver = "systemd"'
        )
    hand = {(part.kind, part.name): part for part in by_owner.parts}
    for part in described.parts:
        click.echo("\n".join(_part(described, part, hand.get((part.kind, part.name)))))
    click.echo("gates that break parts, or read a host's sockets:")
    for gate in known().values():
        if gate.breaks or gate.may_break or gate.id == SOCKETS:
            click.echo("\n".join(_gate(described, gate)))
    click.echo("Nothing was run. On a deployment that is not a lab, verify also needs --yes-break-it.")
    return 0


SOCKETS = "P6"
"""The gate that reads the socket table of the proxy's host."""


def _part(deployment: Deployment, part: Part, by_hand: Part | None) -> Iterator[str]:
    """The commands of one part."""
    yield f"{deployment.part_label(part.kind, part.name)} ({part.kind})"
    lacks = []
    for fault in FAULTS:
        given = commands(part, fault)
        if given is None:
            lacks.append(fault)
            continue
        own = commands(by_hand, fault) if by_hand else None
        yield f"  {fault:<14} {_shown(given, own, 'inject')}"
        yield f"  {'':<14} healed by: {_shown(given, own, 'heal')}"
    for look in ("sockets", "addresses"):
        if (command := getattr(part, look)) is not None:
            own_command = by_hand is not None and getattr(by_hand, look) is not None
            yield f"  {look:<14} {BY_HAND if own_command else command}"
    yield from wrapping.sentence(f"no command: {', '.join(lacks) or 'none'}", "  ", "  ")
    yield ""


def _shown(given: FaultCommands, own: FaultCommands | None, which: str) -> str:
    text: str = getattr(given, which)
    return BY_HAND if own is not None and getattr(own, which) == text else text


def _gate(deployment: Deployment, gate: Gate) -> Iterator[str]:
    """What a gate would do with these commands."""
    from calorimeter.gates.registry import RECORDINGS, why_not_run

    why = why_not_run(gate, deployment, RECORDINGS, yes_break_it=True)
    why = why or next(filter(None, (each.too_few(deployment) for each in gate.breaks)), None)
    opened: list[str] = []
    lacks: list[str] = []
    for each in (*gate.breaks, *gate.may_break):
        done = sorted(
            {
                f"{each.fault} {deployment.part_label(planned.kind, planned.part)}"
                for planned in each.planned(deployment)
            }
        )
        opened += done
        lacks += _lacking(deployment, each)
    if gate.id == SOCKETS and not any(p.sockets for p in deployment.parts if p.kind == "proxy"):
        lacks.append("sockets of a proxy")
    state = f"NOT RUN: {why}" if why else "open"
    if not why and lacks and not opened:
        state = "INCONCLUSIVE"
    yield from wrapping.sentence(f"{gate.id:<4} {state}", "  ", "       ")
    if opened and not why:
        yield from wrapping.sentence(f"breaks: {', '.join(opened)}", "       ", "         ")
    if lacks:
        yield from wrapping.sentence(f"no command: {', '.join(lacks)}", "       ", "         ")


def _lacking(deployment: Deployment, each: Break) -> Iterator[str]:
    """The kinds of parts that a fault cannot be injected into."""
    for kind in each.kinds:
        parts = deployment.parts_of(kind)
        described = deployment.api(kind) is not None if kind in ("rest", "cfn") else True
        if described and not any(commands(part, each.fault) for part in parts):
            yield f"{each.fault} ({kind})"
