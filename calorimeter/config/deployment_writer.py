"""Writes a `Deployment` as a deployment.toml that reads back as the same deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from calorimeter.core import files
from calorimeter.core.deployment import Deployment


def render(deployment: Deployment, comment: str = "") -> str:
    """The text of the file, without unset fields and defaults; the lines of `comment` come first."""
    tree = deployment.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    heading = "".join(f"# {line}\n" for line in comment.splitlines())
    return heading + "\n".join(_table((), tree)).lstrip("\n") + "\n"


def write(deployment: Deployment, path: Path, comment: str = "") -> None:
    """Write the file atomically: a reader finds the old or the new file, never a part of one."""
    files.write(path, render(deployment, comment))


def _table(path: tuple[str, ...], tree: dict[str, Any]) -> Iterator[str]:
    for key, value in tree.items():
        if not _is_table(value):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tree.items():
        name = ".".join(_key(part) for part in (*path, key))
        if isinstance(value, dict) and _is_table(value):
            yield f"\n[{name}]"
            yield from _table((*path, key), value)
        elif _is_table(value):
            for entry in value:
                yield f"\n[[{name}]]"
                yield from _table((*path, key), entry)


def _is_table(value: Any) -> bool:
    if isinstance(value, dict):
        return not _is_secret(value)
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def _is_secret(value: dict[str, Any]) -> bool:
    return bool(value) and set(value) <= {"env", "file", "key"}


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_value(entry) for entry in value) + "]"
    # TOML writes strings, numbers and booleans as JSON does, but allows no DEL in a string. Text beyond
    # ASCII stays readable.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
