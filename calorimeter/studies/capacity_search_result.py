"""capacity.json, the result of a capacity search."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from calorimeter.core.recorded.recorded_json import Amount, Duration
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
    capacity: Amount | None
    broken: Amount | None
    confirmed: bool
    limit: str
    precision: Amount
    probe_s: Duration
    hold_s: Duration
    took_s: Duration
    levels: Annotated[tuple[Level, ...], Field(max_length=1000)]

    @property
    def held(self) -> Level | None:
        """The last load that was held at the capacity."""
        of = [each for each in self.levels if each.kind == "hold" and each.level == self.capacity]
        return of[-1] if of else None
