"""The command line of an acceptance run: `calorimeter verify` and pytest have the same options."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from calorimeter.core import bounds
from calorimeter.core.bounds import Bounds
from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted
from calorimeter.gates.context import FAST, Settings

YES_BREAK_IT = (
    'Also allow fault injection on a deployment that is not a lab (needs `[consent] level = "invasive"`).'
)


@dataclass(frozen=True, slots=True)
class Option:
    """An option, in argparse's terms. `type` is None for a flag."""

    help: str
    metavar: str | None = None
    type: Callable[[str], Any] | None = str
    action: Literal["store", "append", "store_true"] = "store"
    default: Any = None


class BoundedNumber:
    """Reads a number of a command line; `within` are its bounds."""

    def __init__(self, within: Bounds) -> None:
        self.within = within

    def __call__(self, text: str) -> Any:
        """The number. Raises argparse's error, with the valid range."""
        try:
            return self.within.parse(text)
        except ValueError as problem:
            raise argparse.ArgumentTypeError(f"{quoted(text)} given; {problem}") from problem


def _strength(name: str, text: str, within: Bounds) -> Option:
    default, fast = getattr(Settings(), name), getattr(FAST, name)
    less = f", with --fast {fast}" if fast != default else ""
    return Option(f"{text} (default: {default}{less}).", within.range, BoundedNumber(within))


STRENGTHS = {
    "sources": ("Number of source addresses that visit each API", bounds.SOURCES),
    "visits": ("Number of new connections from each source address", bounds.VISITS),
    "calls": (
        "Number of RPC calls to the engines in E2 (one at a time) and in E4 (under load)",
        bounds.COUNT,
    ),
    "stacks": ("Number of stacks, of 12 resources each, in one burst", bounds.STACKS),
    "connections": ("Maximum number of connections held at once to saturate the proxy", bounds.HELD),
    "notice": (
        "Longest time in seconds that E7 keeps an engine frozen until AMQP's heartbeat detects it",
        bounds.NOTICE,
    ),
}

OPTIONS: dict[str, Option] = {
    "gates": Option("Gates or groups of gates, as in S1,H1,E (default: all).", "IDS"),
    "run": Option("Run folder to which the verdicts are added (default: a new one).", "RUN", Path),
    "runs": Option("Parent of new run folders (default: runs).", "DIR", Path, default=Path("runs")),
    **{name: _strength(name, *of) for name, of in STRENGTHS.items()},
    "baseline": Option(
        "Earlier run that --run is compared with (gate T2); may be repeated.", "RUN", Path, "append", ()
    ),
    "history": Option(
        "Folder of runs that --run is the newest of (gate T4); may be repeated.", "RUNS", Path, "append", ()
    ),
    "fast": Option(
        "A first look in about a minute: gates that inject faults or load, or wait long, run only if named "
        "by their ids, and fewer sources, visits, calls and stacks are used; each verdict says so.",
        type=None,
        action="store_true",
        default=False,
    ),
    "yes_break_it": Option(YES_BREAK_IT, type=None, action="store_true", default=False),
    "timings": Option(
        "Also print when each gate began, and what it waited for; timings.json in the run folder has it.",
        type=None,
        action="store_true",
        default=False,
    ),
    "summary": Option("File for the verdicts as Markdown (default: none).", "FILE", Path),
}
"""Name of each option, as an identifier → the option. The deployment file is not among them."""


@dataclass(frozen=True, slots=True)
class Given:
    """The values of the options.

    `collected` are the ids of the gates that pytest collected; None stands for all gates.
    """

    deployment: str | None
    gates: str | None
    run: Path | None
    runs: Path
    settings: Settings
    fast: bool = False
    yes_break_it: bool = False
    timings: bool = False
    baseline: tuple[Path, ...] = ()
    history: tuple[Path, ...] = ()
    summary: Path | None = None
    collected: frozenset[str] | None = None

    @classmethod
    def of(
        cls, deployment: str | None, values: Mapping[str, Any], collected: frozenset[str] | None = None
    ) -> Self:
        """From a value for each of `OPTIONS`. Raises InputError for more visits than memory can hold."""
        others = {name: values[name] for name in OPTIONS if name not in Settings.names()}
        others |= {name: tuple(others[name]) for name in ("baseline", "history")}
        usual = FAST if values["fast"] else Settings()
        settings = replace(
            usual, **{name: value for name in Settings.names() if (value := values[name]) is not None}
        )
        try:
            bounds.COUNT.check(settings.sources * settings.visits)
        except ValueError as problem:
            given = f"{settings.sources} --sources with {settings.visits} --visits each given"
            raise InputError("--visits", given, f"{problem} in all") from problem
        return cls(deployment, settings=settings, collected=collected, **others)

    def value(self, name: str) -> Any:
        """The value of one of `OPTIONS`; None for a strength that is the usual one."""
        if name not in Settings.names():
            return getattr(self, name)
        value = getattr(self.settings, name)
        return None if value == getattr(FAST if self.fast else Settings(), name) else value
