"""Where the suite keeps its files on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from calorimeter.core.errors import InputError


def state() -> Path:
    """The folder for everything that outlives a command: `$XDG_STATE_HOME/calorimeter`.

    Raises InputError if it depends on the working folder: the next command would not find it.
    """
    return _base("XDG_STATE_HOME", "~/.local/state") / "calorimeter"


def cache() -> Path:
    """The folder for what can be made again: `$XDG_CACHE_HOME/calorimeter`. Raises as `state`."""
    return _base("XDG_CACHE_HOME", "~/.cache") / "calorimeter"


def _base(variable: str, otherwise: str) -> Path:
    given = os.environ.get(variable)
    base = Path(given or os.path.expanduser(otherwise))  # noqa: PTH111 - `Path.home` can raise
    if not base.is_absolute():
        name = f"${variable}" if given else "$HOME"
        raise InputError(name, f"is {given or os.environ.get('HOME')!r}", "valid: an absolute path")
    return base


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
        from calorimeter.core.host import ownership

        return ownership.own(labs[0])
    if labs:
        names = ", ".join(str(path) for path in labs)
        raise InputError("deployment", "several labs are up", f"valid: one of {names}")
    raise InputError(
        "deployment",
        "no deployment file given and no lab is up",
        "valid: a path, $CALORIMETER_DEPLOYMENT, ./deployment.toml, or `calorimeter lab up` first",
    )
