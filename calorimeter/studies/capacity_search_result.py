"""capacity.json, the result of a capacity search."""

from __future__ import annotations

from calorimeter.studies.levels import Level, Unit
from calorimeter.studies.study_circumstances import Result

SCHEMA = 1
"""Version of capacity.json."""


class CapacitySearchResult(Result):
    """The whole of capacity.json.

    `capacity` is the highest level that was held, None if none was; `broken` the lowest above it that did
    not hold, None if all did. `limit` says what ended the search.
    """

    schema_version: int = SCHEMA
    scenario: str
    deployment: str
    unit: Unit
    capacity: float | None
    broken: float | None
    confirmed: bool
    limit: str
    precision: float
    probe_s: float
    hold_s: float
    took_s: float
    levels: tuple[Level, ...]

    @property
    def held(self) -> Level | None:
        """The last load that was held at the capacity."""
        of = [each for each in self.levels if each.kind == "hold" and each.level == self.capacity]
        return of[-1] if of else None
