"""Where and on what a study was made: as it is kept beside its figures."""

from __future__ import annotations

from typing import Any

from calorimeter.core.deployment import Deployment
from calorimeter.core.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.report import circumstances


class Circumstances(Model):
    """`environment` is that of run.json, `parts` are rows of name and value, `commands` what was typed."""

    started: str
    environment: dict[str, Any]
    parts: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, ...], ...]

    @property
    def rows(self) -> circumstances.Rows:
        """All of it, as it is shown."""
        return [
            ("Began", self.started),
            *self.parts,
            *circumstances.machine(self.environment),
            *(("Command", " ".join(command)) for command in self.commands),
        ]


class Result(Model):
    """What a study leaves behind says where it was made."""

    circumstances: Circumstances


def of(folder: RunDir, deployment: Deployment) -> Circumstances:
    """Those of a study that has just begun in this folder."""
    about = folder.about
    return Circumstances(
        started=about["started"],
        environment=about["environment"],
        parts=(("Deployment", deployment.name), *circumstances.parts(deployment)),
        commands=tuple(tuple(command) for command in about["commands"]),
    )
