"""The lines that are added to a file of a run while it is recorded."""

from __future__ import annotations

import os
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.polled_rows import Row

FIRST_BYTES = 2 * 2**20
"""Of a file that is there already, only its end is read: the last minute of a large deployment."""

MOST_BYTES = 8 * 2**20
"""Bytes that are read at once. A longer line is left out."""


class LineTail:
    """Reads the objects that were added to a file of lines of JSON, each once."""

    def __init__(self, path: Path, within: Path) -> None:
        self._path = path
        self._within = within
        self._offset = -1
        self._cut = False

    def added(self) -> list[Row | None]:
        """The whole lines that are new; None for a damaged one. None are new if there is no file.

        Raises InputError if the file cannot be read, or leads out of its run.
        """
        try:
            with files.open_to_read(self._path, within=self._within) as file:
                size = os.fstat(file.fileno()).st_size
                if self._offset < 0:
                    self._offset = max(0, size - FIRST_BYTES)
                    self._cut = self._offset > 0
                if size < self._offset:  # another file
                    self._offset, self._cut = 0, False
                file.seek(self._offset)
                data = file.read(MOST_BYTES)
        except files.MissingFileError:
            return []
        except OSError as problem:
            raise InputError(str(self._path), f"cannot be read ({problem.strerror})") from problem
        whole, newline, _ = data.rpartition(b"\n")
        if not newline:
            if len(data) == MOST_BYTES:
                self._offset, self._cut = self._offset + len(data), True
            return []
        self._offset += len(whole) + 1
        lines = whole.split(b"\n")
        if self._cut:  # the rest of a line whose beginning was not read
            del lines[0]
            self._cut = False
        return [self._object(line) for line in lines]

    def _object(self, line: bytes) -> Row | None:
        try:
            tree = files.parse_json(line, str(self._path))
        except InputError:
            return None
        return tree if isinstance(tree, dict) else None
