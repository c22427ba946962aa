"""The list of raw data at the end of a page."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.shown_text import one_line


@dataclass(frozen=True, slots=True)
class DataFile:
    """One kind of raw data in the run folder."""

    path: str
    files: int
    size_bytes: int


def data_files(folder: Path) -> tuple[DataFile, ...]:
    """The regular files of a run, by their first folder; no link is followed, nor shown."""
    sizes: dict[str, list[int]] = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = Path(where, name)
            first, *rest = path.relative_to(folder).parts
            if first.partition(".")[0] == "report" or first.endswith(".partial") or first.startswith("."):
                continue
            found = path.lstat()
            if stat.S_ISREG(found.st_mode):
                sizes.setdefault(f"{first}/" if rest else first, []).append(found.st_size)
    return tuple(DataFile(one_line(name), len(sizes[name]), sum(sizes[name])) for name in sorted(sizes))
