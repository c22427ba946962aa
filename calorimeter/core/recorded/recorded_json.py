"""Where JSON of a recorded folder is read: into a validated record, or not at all.

A folder may come from anybody: what these functions return holds no number that is not finite, no half
character, and nothing from outside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from calorimeter.core import files
from calorimeter.core.errors import InputError

LIMIT = 16 * 2**20
"""Bytes of one JSON file: 300 MB as objects of Python at worst."""

LATEST_NS = 4_102_444_800_000_000_000
"""The year 2100. Differences and sums of two such times fit into 64 bits."""

LONGEST_S = 1e9

Time = Annotated[int, Field(ge=0, le=LATEST_NS)]
"""Ns since the epoch; 0 is never."""
LARGEST = 2**48
"""The most things or bytes that anything counts: thousands of such numbers can be added up in 64 bits."""

Count = Annotated[int, Field(ge=0, le=LARGEST)]
Duration = Annotated[float, Field(ge=0, le=LONGEST_S, allow_inf_nan=False)]
"""Seconds, up to thirty years."""

Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""Anything that was measured: a rate, a share, a number of milliseconds."""

M = TypeVar("M", bound=BaseModel)


def record(path: Path, model: type[M], *, within: Path, limit: int = LIMIT) -> M:
    """The record in a JSON file of the folder `within`.

    Raises MissingFileError if there is no such file; InputError if it cannot be read, leads out of the
    folder, or is not of this model: the message names the first place that differs.
    """
    return validated(files.read_json(path, limit=limit, within=within), model, str(path))


def validated(tree: object, model: type[M], where: str) -> M:
    """A tree of JSON as a record of this model. Raises InputError."""
    try:
        # Via JSON: only there does strict mode accept an array for a tuple and a string for an enum.
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as problem:
        raise InputError(where, f"is damaged: {first_error(problem)}") from problem


def first_error(problem: ValidationError) -> str:
    """The place and the reason of the first error, as a clause."""
    first = problem.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(f"{part}" for part in first["loc"])
    return f"{place[:80]}: {first['msg'][:1].lower()}{first['msg'][1:160]}".removeprefix(": ")


def lines(path: Path, *, within: Path) -> Iterator[dict[str, object] | None]:
    """The objects in a file of lines of JSON; None for a line that is damaged or no object.

    Raises as `record` does for a file that cannot be read, when it is met.
    """
    for line in files.read_lines(path, within=within):
        try:
            tree = files.parse_json(line, str(path))
        except InputError:
            tree = None
        yield tree if isinstance(tree, dict) else None
