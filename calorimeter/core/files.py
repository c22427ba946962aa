"""Files that are written whole or not at all, and have their final mode from the first byte on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from calorimeter.core.errors import InputError


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replace a file atomically: readers see the old content or the new one, never a part.

    Raises InputError if the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        # 0600 first: others must not read passwords in the moment before fchmod.
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
        partial.replace(path)
    except OSError as problem:
        raise InputError(str(path), f"cannot be written ({problem.strerror})") from problem


def write_secrets(path: Path, secrets: Mapping[str, str]) -> None:
    """Write a TOML file of secrets that only its owner can read. Raises InputError."""
    lines = [f"{key} = {_string(value)}\n" for key, value in secrets.items()]
    write(path, "# Secrets of the deployment file beside it.\n" + "".join(lines), mode=0o600)


def refuse_existing(*paths: Path, force: bool) -> None:
    """Raise InputError if a file exists and `force` does not allow to replace it."""
    for path in paths:
        if path.exists() and not force:
            raise InputError(str(path), "exists already", "give another path, or --force to replace it")


def _string(text: str) -> str:
    # JSON strings are TOML strings, except that TOML escapes DEL.
    return json.dumps(text, ensure_ascii=True).replace("\x7f", "\\u007f")
