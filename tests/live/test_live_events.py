"""Faults and verdicts while a deployment is watched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment, read
from calorimeter.core.faults.journal import Journal, JournalContent, OpenFault
from calorimeter.core.verdict import Judgement, Outcome, Verdict, Verdicts
from calorimeter.live.live_events import MOST_FAULTS, LiveFaults, LiveGates
from calorimeter.live.live_figures import FaultNow
from tests.report.run_builder import DEPLOYMENT

S = 10**9
KILL = OpenFault(part="rest-1", fault="kill", heal="secret command", begun_ns=5 * S)


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    file = tmp_path / "deployment.toml"
    file.write_text(DEPLOYMENT)
    return read(file)


def journal_of(deployment: Deployment, *faults: OpenFault) -> Journal:
    """The journal of a deployment, with these faults open."""
    journal = Journal.of(deployment)
    journal.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    journal.write(JournalContent(deployment="x", name="checked", lab=True, open=faults))
    return journal


def test_a_fault_is_open_until_it_leaves_the_journal(deployment: Deployment) -> None:
    """It was healed by the moment at which it is missed, and stays in the list."""
    live = LiveFaults(deployment)
    assert live.figures(4 * S) == []
    journal_of(deployment, KILL)
    assert live.figures(6 * S) == [FaultNow(part="rest-1", fault="kill", begun_ns=5 * S, ended_ns=0)]
    journal_of(deployment)
    healed = [FaultNow(part="rest-1", fault="kill", begun_ns=5 * S, ended_ns=8 * S)]
    assert live.figures(8 * S) == healed
    assert live.figures(9 * S) == healed
    assert live.sources() == []


def test_a_journal_that_cannot_be_read_is_said(deployment: Deployment) -> None:
    """And the faults that are known stay."""
    live = LiveFaults(deployment)
    journal = journal_of(deployment, KILL)
    before = live.figures(6 * S)
    journal.path.write_text("no journal")
    assert live.figures(7 * S) == before
    assert "is not a journal of faults" in live.sources()[0].problem


def test_faults_are_bounded(deployment: Deployment) -> None:
    """A soak of a week injects many; the newest are kept."""
    live = LiveFaults(deployment)
    for number in range(2 * MOST_FAULTS):
        each = OpenFault(part="a", fault="kill", heal="", begun_ns=number)
        found = live.after((each,), number + 1)
    assert len(found) == MOST_FAULTS
    assert found[-1].ended_ns == 0
    assert found[0].begun_ns == MOST_FAULTS


def verdicts(**outcomes: Outcome) -> Verdicts:
    """Verdicts by gate."""
    return Verdicts(
        verdicts=tuple(
            Verdict(gate=gate, heading="h", guide="", judgement=Judgement(outcome=outcome, why="w"))
            for gate, outcome in outcomes.items()
        )
    )


def test_a_gate_keeps_the_moment_at_which_it_turned(tmp_path: Path) -> None:
    """A verdict that is written again with the same outcome did not turn."""
    live = LiveGates(tmp_path, 0)
    live.after(verdicts(S1=Outcome.PASS), 1 * S)
    live.after(verdicts(S1=Outcome.PASS, H1=Outcome.FAIL), 2 * S)
    live.after(verdicts(S1=Outcome.FAIL, H1=Outcome.FAIL), 3 * S)
    found = {each.gate: (each.outcome, each.turned_ns) for each in live.figures(4 * S)}
    assert found == {"S1": (Outcome.FAIL, 3 * S), "H1": (Outcome.FAIL, 2 * S)}


def written(run: Path, found: Verdicts, at_s: int) -> None:
    """Write the verdicts of a run at a moment."""
    run.mkdir(exist_ok=True)
    verdict.write(found, run / "verdicts.json")
    os.utime(run / "verdicts.json", (at_s, at_s))


def test_the_run_s_own_verdicts_go_before_those_of_others(tmp_path: Path) -> None:
    """Verdicts beside it count if they are written while it is watched: the newest."""
    run = tmp_path / "2026-a"
    run.mkdir()
    live = LiveGates(run, 100 * S)
    written(tmp_path / "2026-b", verdicts(S1=Outcome.PASS), 50)
    assert live.figures(101 * S) == []
    written(tmp_path / "2026-c", verdicts(S2=Outcome.PASS), 110)
    assert [each.gate for each in live.figures(111 * S)] == ["S2"]
    assert live.run == "2026-c"
    written(tmp_path / "2026-b", verdicts(S1=Outcome.FAIL), 120)
    assert [each.gate for each in live.figures(121 * S)] == ["S1"]
    written(run, verdicts(H1=Outcome.PASS), 60)
    assert [each.gate for each in live.figures(122 * S)] == ["H1"]
    assert live.run == "2026-a"


def test_damaged_verdicts_are_said(tmp_path: Path) -> None:
    """Until they can be read."""
    run = tmp_path / "a"
    written(run, verdicts(S1=Outcome.PASS), 1)
    live = LiveGates(run, 0)
    assert len(live.figures(S)) == 1
    (run / "verdicts.json").write_text("[]")
    assert len(live.figures(2 * S)) == 1
    assert "verdicts.json" in live.sources()[0].problem
    written(run, verdicts(S1=Outcome.PASS, S2=Outcome.PASS), 3)
    assert len(live.figures(3 * S)) == 2
    assert live.sources() == []
