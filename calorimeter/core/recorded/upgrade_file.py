"""The record of an upgrade in the evidence of a load's run folder."""

from __future__ import annotations

from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.upgrade_record import UpgradeRecord

NAME = "upgrade"
"""Name of the record in a run's evidence."""

LARGEST = 64 * 2**20


def read(run: RunDir) -> UpgradeRecord | None:
    """The record of a run; None if it was no upgrade. Raises InputError if it is damaged."""
    path = run.path / "evidence" / f"{NAME}.json"
    try:
        return recorded_json.record(path, UpgradeRecord, within=run.path, limit=LARGEST)
    except MissingFileError:
        return None


def is_upgrade(run: RunDir) -> bool:
    """Whether a run has the record of an upgrade, in whatever state it is."""
    return bool(run.named("evidence", f"{NAME}.json"))
