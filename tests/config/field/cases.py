"""The field cases of tests/data/field: configurations as they stand in the wild, as an audit reads them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from calorimeter.config import named_files
from calorimeter.config.audit import AuditReport, Finding, Inputs, audit, corrected
from calorimeter.config.describe.deployment_from_files import Description, describe
from calorimeter.config.describe.owner_answers import Answers

FIELD = Path(__file__).resolve().parents[2] / "data" / "field"
NAMES = tuple(sorted(folder.name for folder in FIELD.iterdir() if (folder / "args").exists()))


@dataclass(frozen=True, slots=True)
class FieldCase:
    """One case: its folder, the paths of the proxy's files, and HOST=FILE[,FILE…] of each Heat process."""

    folder: Path
    proxy: tuple[Path, ...]
    heat: tuple[str, ...]

    def inputs(self, **options: object) -> Inputs:
        """The files as an audit reads them; `options` are fields of `Inputs`."""
        given = named_files.from_files(self.proxy, self.heat)
        return named_files.with_options(given, **options)

    def audit(self, **options: object) -> AuditReport:
        """The audit of the files; without options it is made once for all tests."""
        return self.report(self.inputs(**options)) if options else _audit(self)

    def corrected(self) -> Inputs:
        """The files with all safe changes, made once for all tests."""
        return _corrected(self)

    def report(self, inputs: Inputs) -> AuditReport:
        """The audit of changed inputs."""
        return audit(inputs)

    def found(self, rule: str = "", **options: object) -> list[Finding]:
        """The findings whose rule starts with `rule`."""
        return [finding for finding in self.audit(**options).faults if finding.rule.startswith(rule)]

    def describe(self, answers: Answers | None = None, **options: object) -> Description:
        """The deployment that `calorimeter describe` makes of the files."""
        return self.described(self.inputs(**options), answers)

    def described(self, inputs: Inputs, answers: Answers | None = None) -> Description:
        """The deployment that `calorimeter describe` makes of changed inputs."""
        return describe(inputs, answers or Answers(), folder=self.folder, secrets_file="s.toml")


@cache
def _audit(files: FieldCase) -> AuditReport:
    return audit(files.inputs())


@cache
def _corrected(files: FieldCase) -> Inputs:
    return corrected(files.inputs())


@cache
def case(name: str) -> FieldCase:
    """The field case in the folder that starts with `name`: `case("h09")`."""
    (folder,) = (FIELD / each for each in NAMES if each.startswith(name))
    text = (folder / "args").read_text(encoding="utf-8")
    heat: list[str] = []
    if "for n in 1;" in text:  # the only script among the cases
        processes = ("heat-api", "heat-api-cfn", "heat-engine")
        heat = [f"ctl01={folder}/{process}/heat.conf" for process in processes]
    else:
        for given in _array(text, "HEAT"):
            host, _, files = given.partition("=")
            heat.append(f"{host}={','.join(f'{folder}/{file}' for file in files.split(','))}")
    proxy = tuple(folder / file for file in _array(text, "PROXY"))
    return FieldCase(folder, proxy, tuple(heat))


def _array(text: str, name: str) -> list[str]:
    return shlex.split(text.partition(f"{name}=(")[2].partition(")")[0])
