"""`calorimeter run --repeat N --against OTHER`: runs in turn, so that what drifts meets both sides alike.

The options stand on the command `run` itself, which is composed here: loads know nothing of studies.
"""

from __future__ import annotations

import secrets
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from calorimeter.commands.load import run as single
from calorimeter.core import deployment as deployments
from calorimeter.core import paths, statistics
from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.studies import load_process
from calorimeter.workload import catalogue


@dataclass(frozen=True, slots=True)
class Side:
    """What one side of a series loads, and what it is called."""

    name: str
    scenario: str
    deployment: Path


def sides(scenario: str, deployment: Path, against: str | None) -> list[Side]:
    """The side that the command names, and the other one: another deployment, or another scenario.

    Raises `InputError` where `against` is neither.
    """
    first = _side(scenario, deployment)
    if against is None:
        return [first]
    other = _side(scenario, Path(against)) if _is_deployment(against) else _side(against, deployment)
    deployments_differ = other.deployment != first.deployment
    names = [_named(side, deployments_differ) for side in (first, other)]
    if names[0] == names[1]:
        names = ["left", "right"]
    return [Side(n, s.scenario, s.deployment) for n, s in zip(names, (first, other), strict=True)]


def _side(scenario: str, deployment: Path) -> Side:
    return Side(deployments.read(deployment).name, scenario, deployment)


def _named(side: Side, by_deployment: bool) -> str:
    return side.name if by_deployment else catalogue.read(catalogue.find(side.scenario)).name


def _is_deployment(against: str) -> bool:
    """Whether it is a file with a front address; what is a scenario is for the loader to say."""
    try:
        tree = tomllib.loads(Path(against).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        catalogue.find(against)  # raises where there is none
        return False
    rest = tree.get("rest")
    return isinstance(rest, dict) and "url" in rest


def in_turn(chosen: list[Side], repeat: int) -> Iterator[tuple[int, Side]]:
    """A B A B …: each side once a turn, so that whatever drifts slowly meets both alike."""
    for turn in range(1, repeat + 1):
        for side in chosen:
            yield turn, side


def _words(options: dict[str, Any]) -> list[str]:
    """What else was said on the command line, for each run of the series."""
    words: list[str] = []
    for param in single.params:
        value = options.get(param.name or "")
        if not isinstance(param, click.Option) or param.name in ("deployment", "runs") or not value:
            continue
        name = param.opts[0]
        values = value if isinstance(value, tuple) else (value,)
        words += [name] if param.is_flag else [word for each in values for word in (name, str(each))]
    return words


def _run(repeat: int | None, against: str | None, **options: Any) -> int:
    if repeat is None and against is None:
        assert single.callback is not None
        status: int = single.callback(**options)
        return status
    if options.get("web"):
        raise InputError("--web", "one run only", "valid: without --repeat and --against")
    scenario, runs = options.pop("scenario"), options["runs"]
    chosen = sides(scenario, paths.deployment(options["deployment"]), against)
    series = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    made: list[Path] = []
    for turn, side in in_turn(chosen, repeat or statistics.MINIMUM_SIDE):
        click.echo(f"turn {turn} of {repeat or statistics.MINIMUM_SIDE}: {side.name}", err=True)
        words = [*load_process.words_of(side.scenario, side.deployment, runs), *_words(options)]
        path = load_process.load(words)
        RunDir.open(path).note(series=series, side=side.name, turn=turn)
        made.append(path)
        click.echo(f"run: {path}")
    if len(chosen) == 2:
        despite = ["--despite", "scenario.toml"] if chosen[0].scenario != chosen[1].scenario else []
        click.echo(f"compare: {shlex.join(['calorimeter', 'compare', *map(str, made), *despite])}")
    return 0


run = click.Command(
    name="run",
    callback=_run,
    params=[
        *single.params,
        click.Option(
            ["--repeat"],
            type=click.IntRange(1),
            metavar="N",
            help=f"Load so many times, in turn with --against.  [default there: {statistics.MINIMUM_SIDE}]",
        ),
        click.Option(
            ["--against"],
            metavar="OTHER",
            help="The other side of a comparison: a deployment.toml, or another scenario.",
        ),
    ],
    help=f"""{single.help}

    With --against the load is repeated, both sides in turn (A B A B …), and the last line is `compare: `
    and the command that compares them; five turns or more are compared as runs, not as windows within one.
    """,
)
