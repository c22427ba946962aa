"""Finds and reads scenarios and their templates."""

from __future__ import annotations

from pathlib import Path

from calorimeter.core import files, shipped, toml
from calorimeter.core.errors import InputError, nearest, unknown
from calorimeter.workload import template
from calorimeter.workload.scenario import Scenario
from calorimeter.workload.template import Template

CATALOGUE = shipped.folder("scenarios")
TEMPLATES = CATALOGUE / "templates"


def names() -> list[str]:
    """The names of the scenarios in the catalogue."""
    return sorted(path.stem for path in CATALOGUE.glob("*.toml"))


def find(given: str) -> Path:
    """The file of a scenario, which is given by its name in the catalogue or by a path.

    Raises InputError if there is no such scenario.
    """
    path = Path(given)
    if path.suffix == ".toml" or len(path.parts) > 1:
        if files.is_file(path):
            return path
        if files.is_file(CATALOGUE / path.name) and path.parent.name == CATALOGUE.name:
            return CATALOGUE / path.name  # `scenarios/NAME.toml` from any folder
        raise InputError(
            given,
            "no such scenario file",
            f"valid: a path, or one of {', '.join(names())}",
            nearest(path.stem, names()),
        )
    if given not in names():
        raise unknown("scenario", "name", given, names())
    return CATALOGUE / f"{given}.toml"


def read(path: Path) -> Scenario:
    """Read a scenario and its templates. Raises InputError (see `calorimeter.core.toml.read`)."""
    scenario = toml.read(path, Scenario)
    scenario._path = path.absolute()
    for api in ("rest", "cfn"):
        load = scenario.load(api)
        if load is not None:
            load._templates = tuple(_template(name, path, api) for name in load.template_names)
            if not load.templates:
                raise InputError(f"{path}: {api}.template", "is empty", "valid: one template or more")
    return scenario


def recorded(path: Path) -> Scenario:
    """Read the scenario of a run folder, which has no templates. Raises InputError."""
    scenario = toml.read(path, Scenario)
    scenario._path = path.absolute()
    return scenario


def _template(name: str, path: Path, api: str) -> Template:
    where = f"{path}: {api}.template"
    for file in (path.parent / name, TEMPLATES / name):
        if files.is_file(file):
            return template.read(where, file)
    known = sorted(file.name for file in TEMPLATES.iterdir())
    raise InputError(
        where,
        f"no such template {name!r}",
        f"valid: a file beside the scenario, or one of {', '.join(known)}",
        nearest(name, known),
    )
