"""The machine and the deployment of a study, as its result keeps them."""

from __future__ import annotations

from typing import Any

from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.toml import Model
from calorimeter.report import circumstances


class Circumstances(Model):
    """`environment` is that of run.json, `parts` are names and values, `commands` are command lines."""

    started: str
    environment: dict[str, Any]
    parts: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, ...], ...]

    @property
    def rows(self) -> circumstances.Rows:
        """All of it, as pages show it."""
        return [
            ("Began", self.started),
            *self.parts,
            *circumstances.machine(self.environment),
            *(("Command", " ".join(command)) for command in self.commands),
        ]


class Result(Model):
    """The result of a study, with its circumstances."""

    circumstances: Circumstances


def of(folder: RunDir, deployment: Deployment) -> Circumstances:
    """The circumstances of a study that has just begun in this folder."""
    about = folder.about
    return Circumstances(
        started=about["started"],
        environment=about["environment"],
        parts=(("Deployment", deployment.name), *circumstances.parts(deployment)),
        commands=tuple(tuple(command) for command in about["commands"]),
    )
