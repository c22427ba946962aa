"""What changed in the environment together with a figure: facts of the runs before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNKNOWN = "not noted"

NEAR = 2
"""Runs by which a change of a figure may be placed wrongly: a fact that changed so near may cause it."""


@dataclass(frozen=True, slots=True)
class ChangedFact:
    """A fact with its value before and after. It changed `later` runs after the figure; −1: one before.

    It changed `times` times among all runs of both levels: the fewer, the likelier it is the cause.
    """

    name: str
    before: str
    after: str
    times: int
    later: int = 0

    def __str__(self) -> str:
        notes = []
        if self.later:
            count = "one run" if abs(self.later) == 1 else f"{abs(self.later)} runs"
            notes.append(f"{count} {'later' if self.later > 0 else 'before'}")
        if self.times > 1:
            notes.append(f"changed {self.times} times in these runs")
        return f"{self.name} {self.before} → {self.after}" + (f" ({', '.join(notes)})" if notes else "")


def changed_facts(
    before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]
) -> tuple[ChangedFact, ...]:
    """The facts that changed where a figure changed its level, or up to `NEAR` runs away.

    Those that changed least often among the runs before and after come first. Neither side is empty.
    """
    runs = [*before, *after]
    names = dict.fromkeys(name for facts in runs for name in facts)
    found = [
        each
        for name in names
        if (each := _changed(name, [facts.get(name, UNKNOWN) for facts in runs], len(before)))
    ]
    return tuple(sorted(found, key=lambda each: each.times))


def _changed(name: str, values: list[str], place: int) -> ChangedFact | None:
    steps = [i for i in range(1, len(values)) if values[i] != values[i - 1]]
    nearest = min(steps, key=lambda step: abs(step - place), default=None)
    if nearest is None or abs(nearest - place) > NEAR:
        return None
    return ChangedFact(name, values[nearest - 1], values[nearest], len(steps), nearest - place)
