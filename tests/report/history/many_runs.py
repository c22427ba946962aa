"""Folders of many small runs, made of samples drawn with a fixed seed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.report.run_builder import DEPLOYMENT, Builder

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def one_run(folder: Path, number: int, *, heat: str = "24.0.0", load: Any = None, **how: Any) -> Builder:
    """One run of a second, a day after the one before; `load` are more entries of run.json."""
    started = BEGAN + timedelta(days=number)
    builder = Builder(folder / f"{started:%Y%m%dT%H%M%SZ}-first-mix-{number:04x}")
    about = {
        "started": started.isoformat(),
        "scenario": "first-mix",
        "users": 4,
        "load": {"users": 4, "duration_s": 1, "warm_up_s": 0, "arrivals": None, "stages": []},
        "stopped": "ended",
        "clean_stop": True,
    }
    builder.about(**(about | (load or {})))
    versions = f'[versions]\nheat = "{heat}"\nrabbitmq = "3.10.8"\n'
    (builder.path / "deployment.toml").write_text(DEPLOYMENT + versions)
    (builder.path / "scenario.toml").write_text('name = "first-mix"\nusers = 4\n')
    return builder.samples(**{"seconds": 1, "seed": number, **how})


def slower_since(folder: Path, count: int, first: int) -> Path:
    """Runs that are twice as slow from one of them on, with another version of Heat."""
    for number in range(count):
        late = number >= first
        one_run(folder, number, heat="25.0.1" if late else "24.0.0", slower=2.0 if late else 1.0, rate=200)
    return folder
