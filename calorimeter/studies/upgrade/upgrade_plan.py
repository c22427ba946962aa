"""The steps of a procedure on one deployment: action by action, part by part; and what refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.core.control.controlled_part import Part
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.recorded.upgrade_record import PlannedStep
from calorimeter.core.upgrade_table import COMMAND_NAMES, CommandName
from calorimeter.studies.upgrade.procedure import Action, Procedure, ProcedureStep

RELEASES = ("24", "25", "26", "27")
"""The releases of Heat that the suite knows, by their major versions."""

WORKER_RPC = {"24": "1.4", "25": "1.4", "26": "1.9", "27": "1.9"}
"""Release → version of the RPC between its engines (measured; Heat 24 drops casts of 1.9)."""

INVERSE: dict[str, str] = {"start-beside": "remove-beside", "add-vhost": "remove-vhost"}
"""Action → the action that takes it back. A `start` is taken back by a stop and a start as before."""


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """From which release on which virtual host to which."""

    from_release: str
    to_release: str
    old_vhost: str
    new_vhost: str


def change(
    deployment: Deployment, given_from: str | None, to: str | None, procedure: Procedure, vhost: str | None
) -> ReleaseChange:
    """The change that is asked for. Raises InputError if a release is unknown, or not that of the file."""
    runs = deployment.upgrade.release
    old = deployment.broker.vhost if deployment.broker else "/"
    if procedure.of != "heat":
        if to is not None:
            given = f"{to} given with procedure {procedure.name!r}, which leaves Heat as it is"
            raise InputError("--to", given, "valid: without it")
        return ReleaseChange(runs or "", runs or "", old, old)
    if to is None:
        raise InputError("--to", "not given", f"valid: {', '.join(RELEASES[1:])}")
    start = given_from or runs
    if start is None:
        raise InputError(
            str(deployment.path), "has no [upgrade] release", "give --from, or the release in the file"
        )
    for option, release in (("--from", start), ("--to", to)):
        if release not in RELEASES:
            raise unknown(option, "release", release, RELEASES)
    if runs is not None and start != runs:
        raise InputError("--from", f"{start} given, but {deployment.name!r} runs Heat {runs}")
    if RELEASES.index(to) <= RELEASES.index(start):
        raise InputError("--to", f"{to} given, which is not after {start}", "Heat has no downgrade")
    new = (vhost or f"heat-{to}") if procedure.own_vhost else old
    if procedure.own_vhost and new == old:
        raise InputError("--vhost", f"{new!r} given, which is in use", "valid: a new virtual host")
    return ReleaseChange(start, to, old, new)


def why_unsupported(asked: ReleaseChange) -> str | None:
    """Why Heat does not support this change; None if it does.

    Heat's guide: "Upgrades are only supported one series at a time." On one virtual host, engines of both
    releases also take one another's work.
    """
    if asked.from_release == asked.to_release:
        return None
    skipped = RELEASES.index(asked.to_release) - RELEASES.index(asked.from_release) - 1
    versions = (WORKER_RPC[asked.from_release], WORKER_RPC[asked.to_release])
    if asked.old_vhost == asked.new_vhost and versions[0] != versions[1]:
        return (
            f"engines of {asked.from_release} and {asked.to_release} on one virtual host drop one "
            f"another's work: their RPC is {versions[0]} and {versions[1]}"
        )
    if skipped:
        return f"it skips {skipped} release{'s' if skipped > 1 else ''}; Heat supports one at a time"
    return None


def plan(
    procedure: Procedure, deployment: Deployment, asked: ReleaseChange, *, take_back: bool = False
) -> tuple[PlannedStep, ...]:
    """All steps in order. Raises InputError if parts or commands are missing.

    With `take_back`, each reversible step is taken back once it is done, and done again.
    """
    steps: list[PlannedStep] = []

    def add(step: ProcedureStep, found: list[tuple[Action | str, str]], *, back: bool = False) -> None:
        release, vhost = (
            (asked.from_release, asked.old_vhost)
            if back and _starts(step)
            else (asked.to_release, asked.new_vhost)
        )
        for action, part in found:
            place = asked.old_vhost if action in ("remove-vhost", "await-quiet") and not back else vhost
            steps.append(
                PlannedStep(
                    number=len(steps) + 1,
                    title=f"{step.title}: taken back" if back else step.title,
                    action=action,
                    part=part,
                    release=release,
                    vhost=place,
                    back=back,
                    within_s=step.within_s,
                    may_fail_s=step.may_fail_s,
                    command=step.command if action == "run" else None,
                )
            )

    for step in procedure.steps:
        parts = _parts(deployment, step)
        forward = [(action, part) for part in parts for action in step.do] * step.times
        add(step, list(forward))
        if take_back and step.reversible:
            add(step, [*_back(step, parts)], back=True)
            add(step, list(forward))
    missing = sorted({why for each in steps for why in _missing(deployment, each)})
    if missing:
        raise InputError(str(deployment.path), f"procedure {procedure.name!r} needs {missing[0]}", _KEYS)
    return tuple(steps)


_TWO = "a rolling upgrade needs two engines and two APIs of each kind, described with their commands"

_KEYS = "docs/reference/upgrade.md lists the commands"


def _starts(step: ProcedureStep) -> bool:
    return "start" in step.do


def _back(step: ProcedureStep, parts: list[str]) -> Iterator[tuple[str, str]]:
    """The actions that take a step back, the last part first."""
    for part in reversed(parts):
        if _starts(step):
            yield from ((action, part) for action in step.do)
        else:
            yield from ((INVERSE[action], part) for action in reversed(step.do) if action in INVERSE)


def _parts(deployment: Deployment, step: ProcedureStep) -> list[str]:
    """The parts of a step as `KIND/NAME`; one empty name if it is about none."""
    if step.parts is None:
        return [""]
    engines = _named(deployment.parts_of("engine"))
    rest, cfn = (_named(deployment.parts_of(kind)) for kind in ("rest", "cfn"))
    # The last API that moves is a REST API: only those take a burst of stacks.
    others = [*cfn[1:], *rest[1:]]
    found = {
        "engines": engines,
        "engines but the last": engines[:-1],
        "last engine": engines[-1:],
        "apis": [*rest, *cfn],
        "first apis": [*rest[:1], *cfn[:1]],
        "other apis": others,
        "other apis but the last": others[:-1],
        "last api": others[-1:],
        "proxies": _named(deployment.parts_of("proxy")),
        "brokers": _named(deployment.parts_of("broker")),
    }[step.parts]
    if not found:
        few = f"has too few [[parts]] for {step.parts!r} of {step.title!r}"
        raise InputError(str(deployment.path), few, _TWO)
    return found


def _named(parts: tuple[Part, ...]) -> list[str]:
    return [f"{part.kind}/{part.name}" for part in parts]


def command_name(action: str) -> CommandName | None:
    """The command of `[upgrade]` for an action; None if the action has none there."""
    name = action.replace("-", "_")
    return next((known for known in COMMAND_NAMES if known == name), None)


def command_of(deployment: Deployment, step: PlannedStep) -> str | None:
    """The shell command of a step; None if the action has none, or its owner gave none."""
    if step.command is not None:
        return step.command
    name = command_name(step.action)
    if name is not None:
        return deployment.upgrade.command(name)
    part = next((p for p in deployment.parts if p.kind == step.kind and p.name == step.name), None)
    key = _OF_PARTS.get(step.action)
    found: str | None = getattr(part, key, None) if part and key else None
    return found


_OF_PARTS = {"drain": "drain", "undrain": "undrain", "stop": "stop", "start-again": "start"}
"""Action → its command in `[[parts]]`."""


def _missing(deployment: Deployment, step: PlannedStep) -> Iterator[str]:
    needs = command_name(step.action) is not None or step.action in _OF_PARTS
    if needs and not command_of(deployment, step):
        if step.action in _OF_PARTS:
            yield f"[[parts]] {step.name}: {_OF_PARTS[step.action]}"
        else:
            yield f"[upgrade] {command_name(step.action)}"
