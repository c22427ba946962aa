"""Reads TOML files into frozen models, and reports what is wrong in them as one line."""

from __future__ import annotations

import json
import logging
import re
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic_core import CoreSchema, ErrorDetails

from calorimeter.core import bounds, files
from calorimeter.core.errors import InputError, nearest
from calorimeter.core.secrecy import masking
from calorimeter.core.shown_text import quoted


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("a name must not be blank")
    return text


Seconds = Annotated[float, bounds.SECONDS]
Count = Annotated[int, bounds.COUNT]
Name = Annotated[str, AfterValidator(_not_blank)]

_LIMITS: dict[str, dict[str, int]] = {
    "int": {"ge": -(2**63), "le": 2**63 - 1},
    "float": {"allow_inf_nan": False},
}


def _limit(schema: Any, resolve: Callable[[Any], Any], seen: set[str]) -> None:
    """Set the limits of the machine on each number of a schema; `resolve` follows a reference in it."""
    if isinstance(schema, dict):
        if schema.get("type") == "definition-ref":  # a record that several fields hold
            if schema["schema_ref"] in seen:
                return
            seen.add(schema["schema_ref"])
            schema = resolve(schema)
        for key, value in _LIMITS.get(str(schema.get("type")), {}).items():
            schema.setdefault(key, value)
        for inner in schema.values():
            _limit(inner, resolve, seen)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            _limit(inner, resolve, seen)


class Model(BaseModel):
    """A frozen record that rejects unknown keys and does not convert types.

    Its numbers are finite, and its integers have 64 bits. What people write has bounds of its own in each
    field (`calorimeter.core.bounds`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The schema of this record, with the limits of the machine on each number."""
        schema = handler(source)
        _limit(schema, handler.resolve_ref_schema, set())
        return schema


M = TypeVar("M", bound=Model)
TOML_LIMIT = 4 * 2**20
"""The largest TOML file: a topology of thousands of hosts has less."""

Renewal = Callable[[dict[str, Any]], Iterable[str]]
"""Rewrites the tree of an older file in place; yields one line about each thing that is new."""


def read(path: Path, model: type[M], renew: Renewal | None = None) -> M:
    """Read the TOML file at `path` into `model`. `renew` rewrites the tree of an older file, and is logged.

    Raises InputError if there is no such file, if it is not TOML, or for an unknown key, a wrong type or a
    wrong value.
    """
    text = files.read_text(path, limit=TOML_LIMIT)
    return parse(text, model, where=str(path), renew=renew)


def parse(text: str, model: type[M], *, where: str, renew: Renewal | None = None) -> M:
    """Read TOML `text` into `model`. `where` names its origin in errors. Raises InputError (see `read`)."""
    tree = table(text, where)
    for line in renew(tree) if renew else ():
        _say_once(line, where)
    with _as_input_errors(where):
        # Via JSON: only there does strict mode accept an array for a tuple and a string for an enum.
        content = json.dumps(tree, default=str)
    try:
        return model.model_validate_json(content)
    except ValidationError as problem:
        raise _first(problem.errors(include_url=False), model, where) from problem


def table(text: str, where: str) -> dict[str, Any]:
    """The table that TOML `text` is. `where` names its origin in errors. Raises InputError if it is not."""
    with _as_input_errors(where):
        return tomllib.loads(text)


@contextmanager
def _as_input_errors(where: str) -> Iterator[None]:
    try:
        yield
    except RecursionError as problem:
        raise InputError(where, "is nested too deeply", "valid: a TOML file") from problem
    except ValueError as problem:  # no TOML, or an integer of thousands of digits
        raise InputError(where, f"is not valid TOML: {problem!s:.200}") from problem


_said: set[str] = set()


def _say_once(line: str, where: str) -> None:
    """Log a line about the first file that it concerns: a study reads many recorded ones."""
    if line not in _said:
        _said.add(line)
        logging.getLogger("calorimeter").warning(f"{where}: {line}")


def _first(errors: list[ErrorDetails], model: type[Model], where: str) -> InputError:
    # A misspelt key often causes a second error, because the right key is missing: report the unknown key.
    error = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    *parents, last = error["loc"] or ("",)
    place = f"{where}: {_dotted(error['loc'])}" if error["loc"] else where
    if error["type"] == "extra_forbidden":
        known = _fields(model, tuple(parents))
        return InputError(
            place, f"unknown key {last!r}", f"valid: {', '.join(known)}", nearest(str(last), known)
        )
    if error["type"] == "json_invalid":  # its input is the whole file
        return InputError(where, "is nested too deeply", "valid: a TOML file")
    if error["type"] == "missing":
        return InputError(place, "is missing")
    if error["type"] == "too_short":
        limits = error["ctx"]
        return InputError(
            place, f"{limits['actual_length']} given", f"valid: {limits['min_length']} or more"
        )
    message = error["msg"].removeprefix("Value error, ")
    given = error["input"]
    shown = "" if isinstance(given, dict | list | Model) else f"{_shown(place, given)} given; "
    context = error.get("ctx", {})
    expected = str(context.get("expected", "")) if error["type"] in ("enum", "literal_error") else ""
    close = nearest(str(given), [word.strip(" '") for word in expected.replace(" or ", ",").split(",")])
    return InputError(place, f"{shown}{message[:1].lower()}{message[1:]}", "", close)


def _shown(place: str, given: object) -> str:
    """The given value, without secrets that somebody wrote where they do not belong."""
    if re.search("password|secret", place.rsplit(":", 1)[-1]):
        return "a value that is not shown here"
    return quoted(masking.mask(given) if isinstance(given, str) else given)


def _dotted(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _fields(model: type[Model], path: tuple[int | str, ...]) -> list[str]:
    """The valid keys at `path` below `model`."""
    here: Any = model
    for part in path:
        if isinstance(part, str) and isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(part)
            here = _model_in(field.annotation) if field else here
    return sorted(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, tuple, list, dict):
        for inner in get_args(annotation):
            found = _model_in(inner)
            if found is not None:
                return found
    return None
