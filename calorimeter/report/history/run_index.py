"""The index beside the runs: what was read of each folder, so that it is not read again.

It is never the truth. An entry counts only as long as the files that it was made from have their size and
time of change, and the whole index only if its digest is right: without it, a history takes longer, and
says the same.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from calorimeter import __version__
from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.toml import Model
from calorimeter.report.history import run_point
from calorimeter.report.history.run_point import RunPoint

NAME = ".calorimeter-history.json"

READER = f"{__version__}-1"
"""What made the entries. Raise the number whenever a run is read in another way."""

LARGEST = 64 * 2**20
"""Bytes of an index: some thousands of runs."""

_FILES = ("run.json", "deployment.toml", "scenario.toml", "verdicts.json", "capacity.json")


class IndexEntry(Model):
    """A run as it was read, and the stamp of its files then."""

    stamp: str
    point: RunPoint


class IndexContent(Model):
    """The index of one folder: name of a run's folder → its entry."""

    reader: str
    entries: dict[str, IndexEntry]


class RunIndex:
    """The index of a folder while its runs are read. `read` counts those that it had no entry for."""

    def __init__(self, before: Mapping[str, IndexEntry]) -> None:
        self._before = before
        self.entries: dict[str, IndexEntry] = {}
        self.read = 0

    def point(self, run: Path) -> RunPoint:
        """A run, from its entry or from its files. Raises `InputError` as `run_point.read`."""
        stamp = stamp_of(run)
        entry = self._before.get(run.name)
        if entry is None or entry.stamp != stamp:
            self.read += 1
            entry = IndexEntry(stamp=stamp, point=run_point.read(run))
        if run.name.isprintable():  # others cannot all be written as JSON
            self.entries[run.name] = entry
        return entry.point


@contextmanager
def of(folder: Path) -> Iterator[RunIndex]:
    """The index of a folder; what was read is kept, also if it is interrupted."""
    before = read(folder)
    index = RunIndex(before)
    try:
        yield index
    finally:
        if index.entries != before:
            write(folder, index.entries)


def stamp_of(run: Path) -> str:
    """A digest over name, size and time of change of each file that a point is made from."""
    digest = hashlib.sha256()
    for name, path in _made_from(run):
        with suppress(OSError):
            found = path.stat()
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\0{found.st_ino}\n".encode())
    return digest.hexdigest()[:32]


def _made_from(run: Path) -> Iterator[tuple[str, Path]]:
    yield from ((name, run / name) for name in _FILES)
    with suppress(OSError):
        yield from (
            (f"samples/{os.fsencode(path.name)!r}", path) for path in sorted((run / "samples").iterdir())
        )


def read(folder: Path) -> dict[str, IndexEntry]:
    """The entries of a folder's index; none if there is no index, or one that cannot be used."""
    with suppress(InputError):
        tree = files.read_json(folder / NAME, limit=LARGEST, within=folder)
        content = tree.get("content") if isinstance(tree, dict) else None
        if content is not None and tree.get("sha256") == _digest(content):
            found = recorded_json.validated(content, IndexContent, NAME)
            return found.entries if found.reader == READER else {}
    return {}


def write(folder: Path, entries: Mapping[str, IndexEntry]) -> None:
    """Replace a folder's index, for its owner only. One that cannot be written costs time only."""
    content = IndexContent(reader=READER, entries=dict(entries)).model_dump(mode="json")
    text = json.dumps({"content": content, "sha256": _digest(content)})
    if len(text) <= LARGEST:
        with suppress(InputError):
            files.write(folder / NAME, text, mode=files.PRIVATE)


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
