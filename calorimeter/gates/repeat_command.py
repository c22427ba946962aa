"""The command that runs one gate of an acceptance run again, with the options of that run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from calorimeter.gates.verify_options import OPTIONS, Given


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
    unused = {"gates", "summary", "timings"} | ({"runs"} if given.run else set())
    for name, option in OPTIONS.items():
        value = given.value(name)
        if name not in unused and value != option.default:
            flag = f"--{name.replace('_', '-')}"
            values = value if isinstance(value, tuple) else (value,)
            yield from ([flag] if each is True else [flag, str(each)] for each in values)
