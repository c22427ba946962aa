"""Where the suite keeps its files on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from calorimeter.core.errors import InputError


def state() -> Path:
    """The folder for everything that outlives a command: `$XDG_STATE_HOME/calorimeter`."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "calorimeter"


def lab(name: str) -> Path:
    """The state folder of the lab called `name`."""
    return state() / "labs" / name


def deployment(given: str | os.PathLike[str] | None) -> Path:
    """The deployment file of a command.

    The first of: the file given, `$CALORIMETER_DEPLOYMENT`, `./deployment.toml`, the file of the only lab
    on this machine. Raises InputError if no file is found, or if several labs are up.
    """
    if given is not None:
        return Path(given)
    if named := os.environ.get("CALORIMETER_DEPLOYMENT"):
        return Path(named)
    if (here := Path("deployment.toml")).exists():
        return here
    labs = sorted(state().glob("labs/*/deployment.toml"))
    if len(labs) == 1:
        return labs[0]
    if labs:
        names = ", ".join(str(path) for path in labs)
        raise InputError("deployment", "several labs are up", f"valid: one of {names}")
    raise InputError(
        "deployment",
        "no deployment file given and no lab is up",
        "valid: a path, $CALORIMETER_DEPLOYMENT, ./deployment.toml, or `calorimeter lab up` first",
    )
