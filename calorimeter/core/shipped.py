"""Files that come with the suite: gates, the locustfile, scenarios and page templates.

A clone has them at its top level, where people run, edit and read them. A wheel has copies in the package.
"""

from __future__ import annotations

from pathlib import Path

import calorimeter

PACKAGE = Path(calorimeter.__file__).resolve().parent
COPIES = PACKAGE / "shipped"


def folder(name: str) -> Path:
    """The folder `name`: one of `verify`, `loadtests`, `scenarios`, `reports`."""
    copied = COPIES / name
    return copied if copied.is_dir() else PACKAGE.parent / name
