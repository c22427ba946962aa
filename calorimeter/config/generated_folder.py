"""Writing the files of a topology to a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from calorimeter.config.generate import (
    SECRETS,
    Topology,
    heat_files,
    instructions,
    made_secrets,
    proxy_file,
)
from calorimeter.core import files, toml
from calorimeter.core.errors import InputError

_KEPT = "secrets.toml"


def write(topology: Path, folder: Path, *, force: bool) -> Iterator[str]:
    """Write the files of a topology; lines that say what was written and what to start where.

    Raises `InputError`: the topology or a secret cannot be used, a file is there already, or cannot be
    written.
    """
    asked = toml.read(topology, Topology)
    given: dict[str, str] = {}
    for name, secret in asked.secrets.items():
        given[name] = secret.reveal(topology.parent)
        if not given[name].isprintable() or not given[name]:
            raise InputError(f"{topology}: secrets.{name}", "is no line of text", "valid: a password")
    kept = folder / _KEPT
    secrets = made_secrets({**_kept(kept), **given})
    generated = [proxy_file(asked), *heat_files(asked, secrets)]
    files.refuse_existing(*(folder / file.name for file in generated), force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise InputError(str(folder), f"cannot be made ({problem.strerror})") from problem
    files.write_secrets(kept, secrets)
    for file in generated:
        files.write(folder / file.name, file.text, mode=0o600 if file.secret else 0o644)
    names = ", ".join(file.name for file in generated)
    yield f"{folder} is written: {names}"
    made = [what for key, what in SECRETS.items() if key not in given]
    if made:
        yield f"{kept} holds the passwords of: {', '.join(made)}"
    yield "Start:"
    yield from (f"  {line}" for line in instructions(asked))


def _kept(path: Path) -> dict[str, str]:
    """The secrets of an earlier call."""
    if not path.exists():
        return {}
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise InputError(str(path), "is not a TOML file of secrets") from problem
    return {key: str(value) for key, value in tree.items() if key in SECRETS}
