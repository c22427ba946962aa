"""capacity.json, which a search for the capacity writes to the run that was held at it."""

from __future__ import annotations

from pathlib import Path

from pydantic import ConfigDict

from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Amount
from calorimeter.core.toml import Model


class CapacityResult(Model):
    """The result of a search: the highest level that held, and what ended the search above it.

    A level is in `unit` (`arrivals/s` or `users`); the study's own page uses the other fields.
    """

    model_config = ConfigDict(extra="ignore")

    unit: str
    capacity: Amount
    broken: Amount | None
    confirmed: bool
    limit: str


def read(folder: Path) -> CapacityResult | None:
    """The result of the search that a run belongs to; None if it belongs to none.

    Raises `InputError` if the file is damaged.
    """
    try:
        return recorded_json.record(folder / "capacity.json", CapacityResult, within=folder)
    except MissingFileError:
        return None
