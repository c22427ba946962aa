"""Faults as data: `rest-1:kill@5s+20s` or `[[fault]]` tables, and the commands that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, get_args

from pydantic import field_validator

from calorimeter.core import bounds
from calorimeter.core.bounds import Bounds
from calorimeter.core.control.controlled_part import FurtherFault, Part, PartKind
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.shown_text import quoted
from calorimeter.core.toml import Model, Seconds

HEALED_BY = {"kill": "start", "stop": "start", "freeze": "thaw", "drain": "undrain"}
"""Fault that a part has a command of its own for → the part's command that heals it."""

FAULTS: tuple[str, ...] = (*HEALED_BY, *get_args(FurtherFault))
"""The names of all faults."""

_TEXT = re.compile(r"(?P<part>[^:@]+):(?P<fault>[^:@]+)@(?P<at>[0-9.]+[a-z]+)\+(?P<for>[0-9.]+[a-z]+)")
_VALID = "valid: PART:FAULT@START+LENGTH, such as rest-1:kill@5s+20s"


class Fault(Model):
    """One fault of one part: it starts `at_s` seconds after the schedule and lasts `for_s` seconds.

    `part` is a name, or a pattern such as `rest-*` for several parts at once. Where parts of several kinds
    have one name, it is `KIND/NAME`.
    """

    part: str
    fault: str
    at_s: Annotated[float, bounds.MOMENT] = 0.0
    for_s: Seconds

    @field_validator("fault")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in FAULTS:
            raise ValueError(f"a fault is one of {', '.join(FAULTS)}")
        return name

    def __str__(self) -> str:
        return f"{self.part}:{self.fault}@{self.at_s:g}s+{self.for_s:g}s"


class Schedule(Model):
    """Faults in any order (`[[fault]]` tables in TOML)."""

    fault: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultCommands:
    """The shell commands that inject and heal one fault of one part."""

    part: str
    fault: str
    inject: str
    heal: str
    kind: PartKind


def parse(text: str, where: str = "--fault") -> Fault:
    """Parse `PART:FAULT@START+LENGTH`. Raises InputError if the text is not of this form."""
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise InputError(where, f"{quoted(text)} given", _VALID)
    if found["fault"] not in FAULTS:
        raise unknown(where, "fault", found["fault"], FAULTS)
    begin = _seconds(found["at"], bounds.MOMENT, text, where)
    length = _seconds(found["for"], bounds.SECONDS, text, where)
    return Fault(part=found["part"], fault=found["fault"], at_s=begin, for_s=length)


def _seconds(text: str, within: Bounds, whole: str, where: str) -> float:
    try:
        return within.parse_time(text)
    except ValueError as problem:
        raise InputError(where, f"{quoted(text)} in {quoted(whole)} given", str(problem)) from problem


def commands(part: Part, fault: str) -> FaultCommands | None:
    """The commands for a fault of a part. None unless the owner gave both, to inject and to heal."""
    if fault in HEALED_BY:
        inject, heal = getattr(part, fault), getattr(part, HEALED_BY[fault])
    else:
        found = part.faults.get(fault)  # type: ignore[call-overload]
        inject, heal = (found.inject, found.heal) if found else (None, None)
    return FaultCommands(part.name, fault, inject, heal, part.kind) if inject and heal else None


def resolve(
    schedule: Schedule, deployment: Deployment, where: str = "--fault"
) -> list[tuple[Fault, FaultCommands]]:
    """All faults of a schedule, one per part, in order of time, each with its commands.

    Raises InputError for an unknown part, for a fault without commands, and for two faults of one part at
    the same time (healing the first would heal the second).
    """
    found: list[tuple[Fault, FaultCommands]] = []
    for fault in schedule.fault:
        labels = {deployment.part_label(part.kind, part.name): part for part in deployment.parts}
        parts = {label: part for label, part in labels.items() if fnmatchcase(label, fault.part)}
        if not parts:
            raise unknown(where, "part", fault.part, labels)
        for label, part in parts.items():
            given = commands(part, fault.fault)
            if given is None:
                allowed = [name for name in FAULTS if commands(part, name)]
                raise InputError(
                    f"{deployment.path}: part {label}",
                    f"no commands to inject and heal {fault.fault!r}",
                    f"valid: {', '.join(allowed) or 'no fault of this part'}",
                )
            found.append((fault.model_copy(update={"part": label}), given))
    found.sort(key=lambda pair: pair[0].at_s)
    _refuse_overlaps([fault for fault, _ in found], where)
    return found


def _refuse_overlaps(faults: Sequence[Fault], where: str) -> None:
    until: dict[str, Fault] = {}
    for fault in faults:
        before = until.get(fault.part)
        if before is not None and before.at_s + before.for_s > fault.at_s:
            raise InputError(
                where, f"{fault} begins before {before} ends", "valid: one fault of a part at a time"
            )
        until[fault.part] = fault


def is_lab(deployment: Deployment) -> bool:
    """Whether `calorimeter lab up` wrote this deployment file: `lab.json` is in the same folder."""
    return (deployment.path.parent / "lab.json").is_file()


def refusal(deployment: Deployment, yes_break_it: bool) -> str | None:
    """Why no fault may be injected into a deployment; None if faults are allowed.

    The owner's consent must be `invasive`. On a deployment that is not a lab, the suite must also be run
    with `--yes-break-it`.
    """
    level = deployment.consent.level.value
    if level != "invasive":
        return f"fault injection needs consent.level = 'invasive', the file gives {level!r}"
    if not is_lab(deployment) and not yes_break_it:
        return f"{deployment.name!r} is not a lab: add --yes-break-it to inject faults into it"
    return None


def announcement(deployment: Deployment, planned: Iterable[FaultCommands]) -> list[str]:
    """What is about to be broken, and where, as lines for the terminal."""
    kind = "the lab" if is_lab(deployment) else "DEPLOYMENT"
    lines = [f"about to break parts of {kind} {deployment.name!r} ({deployment.path}):"]
    by_part: dict[str, list[str]] = {}
    for each in planned:
        by_part.setdefault(deployment.part_label(each.kind, each.part), []).append(each.fault)
    return [*lines, *(f"  {part}: {', '.join(faults)}" for part, faults in by_part.items())]
