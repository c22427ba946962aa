"""The command that repeats one gate: complete, quoted for a shell, and understood by the command line."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.commands.verify import verify
from calorimeter.gates import repeat_command
from calorimeter.gates.context import FAST, Settings
from calorimeter.gates.verify_options import OPTIONS, Given


def given(**differing: object) -> Given:
    """A command line with only its defaults, but for some options."""
    defaults: dict[str, object] = {"deployment": None, "gates": None, "run": None, "runs": Path("runs")}
    return Given(**{**defaults, "settings": Settings(), **differing})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "deployment", "command"),
    [
        (given(), Path("/labs/lab/deployment.toml"), "/labs/lab/deployment.toml --gates H2"),
        (
            given(settings=Settings(sources=200, notice=182), yes_break_it=True, runs=Path("my runs")),
            Path("my cloud.toml"),
            "'my cloud.toml' --gates H2 --runs 'my runs' --sources 200 --notice 182 --yes-break-it",
        ),
        (given(fast=True, settings=FAST), Path("a.toml"), "a.toml --gates H2 --fast"),
        (
            given(fast=True, settings=replace(FAST, calls=1000)),
            Path("a.toml"),
            "a.toml --gates H2 --calls 1000 --fast",
        ),
        (
            given(run=Path("runs/a"), baseline=(Path("runs/b"), Path("runs/$c"))),
            None,
            "--gates H2 --run runs/a --baseline runs/b --baseline 'runs/$c'",
        ),
    ],
)
def test_command_has_the_options_of_the_run(options: Given, deployment: Path | None, command: str) -> None:
    """Options with their defaults are left out; the deployment, too, if the run folder has it."""
    text = repeat_command.verify(options, deployment, "H2")
    assert text == f"calorimeter verify {command}"
    arguments = shlex.split(text)[2:]
    parsed = verify.make_context("verify", arguments).params
    assert parsed["deployment"] == deployment
    assert (parsed["gates"], parsed["run"], parsed["runs"]) == ("H2", options.run, options.runs)
    assert parsed["baseline"] == options.baseline
    assert parsed["yes_break_it"] == options.yes_break_it
    again = Given.of(
        None, {**dict.fromkeys(OPTIONS), "baseline": (), "history": (), "fast": False, **parsed}
    )
    assert (again.settings, again.fast) == (options.settings, options.fast)


def test_pytest_command_names_the_test_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option that the suite uses itself has its other name."""
    monkeypatch.chdir(tmp_path)
    options = given(settings=Settings(calls=5), run=Path("runs/a"))
    file = tmp_path / "my gates/test_x.py"
    text = repeat_command.pytest(
        options, Path("c.toml"), "X1", file, "test_x", {"--run": "--calorimeter-run"}
    )
    assert text == (
        "pytest 'my gates/test_x.py::test_x' --deployment c.toml --gates X1 "
        "--calorimeter-run runs/a --calls 5"
    )
