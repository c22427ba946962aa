"""Writes the generated files of a topology, and their secrets, to a folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from calorimeter.config.generate.generated_files import heat_files, instructions, new_secrets
from calorimeter.config.generate.proxy_files import proxy_files
from calorimeter.config.generate.topology import SECRETS, Topology
from calorimeter.core import files, toml
from calorimeter.core.errors import InputError


def write(topology_file: Path, folder: Path, *, force: bool) -> Iterator[str]:
    """Write the files of a topology; yield lines that list the files and the commands that start Heat.

    Raises InputError if the topology or a secret cannot be used, if a file exists already and `force` is
    false, or if a file cannot be written.
    """
    topology = toml.read(topology_file, Topology)
    given: dict[str, str] = {}
    for name, secret in topology.secrets.items():
        given[name] = secret.reveal(topology_file.parent)
        if not given[name].isprintable() or not given[name]:
            raise InputError(
                f"{topology_file}: secrets.{name}", "is not a line of text", "valid: a password"
            )
    if "/" in given.get("broker", ""):
        raise InputError(
            f"{topology_file}: secrets.broker",
            "has a slash, which Heat's libraries take for the end of the host, however it is encoded",
            "valid: a password without a slash",
        )
    secrets_file = folder / "secrets.toml"
    secrets = new_secrets({**_earlier_secrets(secrets_file), **given})
    generated = [*proxy_files(topology), *heat_files(topology, secrets)]
    files.refuse_existing(*(folder / file.name for file in generated), force=force)
    files.make_folder(folder, mode=0o755)
    files.write_secrets(secrets_file, secrets)
    for file in generated:
        files.write(folder / file.name, file.text, mode=0o600 if file.secret else 0o644)
    yield f"{folder} is written: {', '.join(file.name for file in generated)}"
    created = [owner for key, owner in SECRETS.items() if key not in given]
    if created:
        yield f"{secrets_file} holds the passwords of: {', '.join(created)}"
    yield "Start:"
    yield from (f"  {line}" for line in instructions(topology))


def _earlier_secrets(path: Path) -> dict[str, str]:
    """The secrets that an earlier call wrote."""
    if not path.exists():
        return {}
    try:
        tree = tomllib.loads(files.read_text(path))
    except ValueError as problem:
        raise InputError(str(path), "is not a TOML file of secrets") from problem
    return {key: str(value) for key, value in tree.items() if key in SECRETS}
