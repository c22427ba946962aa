"""Interleaved runs of two sides: `calorimeter run --repeat N --against OTHER`. Drift affects both."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from calorimeter.core import deployment as deployments
from calorimeter.core import files, toml
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.studies import load_process
from calorimeter.workload import catalogue

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class SeriesSide:
    """One side of a series: its name, and the scenario and the deployment file of its runs."""

    name: str
    scenario: str
    deployment: Path


def sides(scenario: str, deployment: Path, against: str | None) -> list[SeriesSide]:
    """The side of a scenario and a deployment, and the other one: another deployment, or another scenario.

    Raises `InputError` if `against` is neither.
    """
    first = _side(scenario, deployment)
    if against is None:
        return [first]
    other = _side(scenario, Path(against)) if _is_deployment(against) else _side(against, deployment)
    deployments_differ = other.deployment != first.deployment
    names = [_named(side, deployments_differ) for side in (first, other)]
    if names[0] == names[1]:
        names = ["left", "right"]
    return [SeriesSide(n, s.scenario, s.deployment) for n, s in zip(names, (first, other), strict=True)]


def _side(scenario: str, deployment: Path) -> SeriesSide:
    return SeriesSide(deployments.read(deployment).name, scenario, deployment)


def _named(side: SeriesSide, by_deployment: bool) -> str:
    return side.name if by_deployment else catalogue.read(catalogue.find(side.scenario)).name


def _is_deployment(against: str) -> bool:
    """Whether it is a deployment file; raises `InputError` if it is neither that nor a scenario's name."""
    try:
        tree = toml.table(files.read_text(Path(against), limit=toml.TOML_LIMIT), against)
    except InputError:
        catalogue.find(against)  # raises if the scenario does not exist
        return False
    rest = tree.get("rest")
    return isinstance(rest, dict) and "url" in rest


def in_turn(chosen: Sequence[S], repeat: int) -> Iterator[tuple[int, S]]:
    """A B A B …: the number of the turn, and each side once per turn."""
    for turn in range(1, repeat + 1):
        for side in chosen:
            yield turn, side


def record(
    chosen: list[SeriesSide], repeat: int, runs: Path, options: list[str], say: Callable[[str], object]
) -> Iterator[Path]:
    """Make the runs of a series, one after the other; each run folder when it is complete.

    `options` are further words of `calorimeter run`. Every run notes its series, side and turn in run.json.
    """
    series = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    for turn, side in in_turn(chosen, repeat):
        say(f"turn {turn} of {repeat}: {side.name}")
        path = load_process.load([*load_process.words_of(side.scenario, side.deployment, runs), *options])
        RunDir.open(path).note(series=series, side=side.name, turn=turn)
        yield path
