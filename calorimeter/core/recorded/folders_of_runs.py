"""The folders that hold run folders, as commands are given them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from calorimeter.core.errors import InputError


def check(folders: Sequence[Path]) -> None:
    """Raise `InputError` if one of them is no folder, is a run itself, or is given twice."""
    real = [os.path.realpath(folder) for folder in folders]
    for folder, place in zip(folders, real, strict=True):
        if not folder.is_dir():
            kind = "is no folder" if os.path.lexists(folder) else "does not exist"
            raise InputError(str(folder), kind, "valid: a folder that holds runs, such as runs")
        if (folder / "run.json").exists():
            raise InputError(str(folder), "is a run itself", "valid: the folder that holds runs")
        if real.count(place) > 1:
            raise InputError(str(folder), "is given twice", "valid: each folder once")
