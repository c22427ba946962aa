"""The summary of an acceptance run: which gates end with their docs and the command that repeats them."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config import deployment_writer
from calorimeter.core.deployment import read
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.verdict import Judgement, Outcome, failed, inconclusive, passed
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.judge import AcceptanceRun
from calorimeter.gates.registry import known
from calorimeter.gates.verify_options import Given
from tests.gates.test_registry import deployment


@pytest.fixture
def session(tmp_path: Path) -> AcceptanceRun:
    """A session on a deployment file with a space in its name; nothing connects to it."""
    settings = Settings(sources=60)
    given = Given("my cloud.toml", "H", None, Path("runs"), settings, yes_break_it=True)
    file = tmp_path / "my cloud.toml"
    deployment_writer.write(deployment().model_copy(update={"waive": {"H9": "shallow by choice"}}), file)
    described = read(file)
    run = RunDir.create(described, runs=tmp_path, name="verify")
    return AcceptanceRun(Context(described, settings), run, given)


def lines_of(session: AcceptanceRun, gate_id: str, judgement: Judgement) -> list[str]:
    """The lines of the summary about one gate, with this verdict."""
    session.keep(known()[gate_id], judgement)
    lines = [line for line, _ in session.summary()]
    first = next(n for n, line in enumerate(lines) if f" {gate_id} " in line)
    return [line.strip() for line in lines[first : lines.index("")]]


@pytest.mark.parametrize("judgement", [failed("too slow", ["rest-1: 9 s"]), inconclusive("no log")])
def test_red_and_inconclusive_gates_end_with_two_lines(
    session: AcceptanceRun, judgement: Judgement
) -> None:
    """The page of the gate, and the command with the options of this run."""
    assert lines_of(session, "H1", judgement)[-2:] == [
        "docs: docs/reference/gates-health.md#h1-health-checks-really-run-on-every-backend",
        "again: calorimeter verify 'my cloud.toml' --gates H1 --sources 60 --yes-break-it",
    ]


@pytest.mark.parametrize(
    ("gate_id", "judgement"),
    [
        ("H1", passed("they run")),
        ("H1", Judgement(outcome=Outcome.NOT_RUN, why="needs consent")),
        ("H9", failed("stays UP")),
    ],
)
def test_other_gates_do_not(session: AcceptanceRun, gate_id: str, judgement: Judgement) -> None:
    """A gate that passed, was not run, or is waived needs no reading and no repetition."""
    lines = lines_of(session, gate_id, judgement)
    assert len(lines) == 2
    assert lines[1] == judgement.why
