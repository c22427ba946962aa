"""Where things are in the clone."""

from __future__ import annotations

from pathlib import Path

CLONE = Path(__file__).resolve().parents[1]
DOCS = CLONE / "docs"
GUIDE = CLONE / "tests/data/guide"
"""The guide, with the configuration files that it shows."""
PROGRAMS = CLONE / "tests/lab/programs"
"""Small programs that tests of the lab run in processes of their own."""
