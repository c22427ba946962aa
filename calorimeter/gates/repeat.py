"""The command that runs one gate of an acceptance run again, with the options of that run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from calorimeter.gates.context import Settings

if TYPE_CHECKING:
    from calorimeter.gates.judge import Given

RUNS = Path("runs")
"""Default of --runs."""


def verify(given: Given, deployment: Path | None, gate_id: str) -> str:
    """The `calorimeter verify` that runs one gate again; `deployment` is None if the run folder has it."""
    words = ["calorimeter", "verify", *([str(deployment)] if deployment else []), "--gates", gate_id]
    return shlex.join([*words, *(word for option in _options(given) for word in option)])


def pytest(
    given: Given, deployment: Path | None, gate_id: str, test: Path, name: str, names: Mapping[str, str]
) -> str:
    """The `pytest` that runs one gate again: the function `name` of the file `test`.

    `names` maps options to what they are called in that test suite, if that differs.
    """
    options = [["--deployment", str(deployment)]] if deployment else []
    options += [["--gates", gate_id], *_options(given)]
    words = [f"{os.path.relpath(test)}::{name}"]
    for option, *values in options:
        words += [names.get(option, option), *values]
    return shlex.join(["pytest", *words])


def _options(given: Given) -> Iterator[list[str]]:
    """The options that differ from their defaults, each with its value."""
    if given.run is not None:
        yield ["--run", str(given.run)]
    elif given.runs != RUNS:
        yield ["--runs", str(given.runs)]
    yield from (["--baseline", str(baseline)] for baseline in given.baseline)
    for name in Settings.names():
        if (strength := getattr(given.settings, name)) != getattr(Settings(), name):
            yield [f"--{name}", str(strength)]
    if given.yes_break_it:
        yield ["--yes-break-it"]
