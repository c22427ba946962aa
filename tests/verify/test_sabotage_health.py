"""Sabotages of backend health on the real lab: each must turn the right gate red, and say why."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from calorimeter import deployment as deployments
from calorimeter import verdict
from calorimeter.deployment import Deployment
from calorimeter.faults.journal import Journal
from calorimeter.verdict import Judgement
from config import deployment_writer
from tests.conftest import lab_command

pytestmark = pytest.mark.lab

Tree = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A sabotage of the proxy, what of the description differs with it, the further faults that are tried,
    the gate that must be red and words of its verdict."""

    gate: str
    outcome: str
    said: str
    sabotage: str | None = None
    described: Callable[[Tree], None] = field(default=lambda tree: None)
    faults: tuple[str, ...] = ()


def _fall_100(tree: Tree) -> None:
    tree["proxy"][0]["checks"]["fall"] = 100


def _check_30s(tree: Tree) -> None:
    tree["proxy"][0]["checks"]["timeout_check_s"] = 30.0


def _silent_kill(tree: Tree) -> None:
    for part in tree["parts"]:
        part["kill"] = "true"


CASES = {
    "unchecked: H1": Case("H1", "FAIL", "does not check any of its servers", "unchecked"),
    "backup: H1": Case("H1", "FAIL", "are only backups", "backup"),
    "unchecked: H2": Case("H2", "FAIL", "the proxy says 'no check'", "unchecked"),
    "unchecked: H5": Case("H5", "FAIL", "never taken out of service", "unchecked"),
    "fall 100: H2": Case(
        "H2", "FAIL", "allows 100 s until it is detected, wanted are 5 s", "fall-100", _fall_100
    ),
    "timeout check 30s: H3": Case(
        "H3", "FAIL", "allows 62 s until it is detected", "slow-checks", _check_30s
    ),
    "a path that is always answered: H2": Case(
        "H2", "FAIL", "not for /healthcheck", "any-path", faults=("refuse-checks",)
    ),
    "sessions stay: H3": Case("H3", "FAIL", "on-marked-down shutdown-sessions", "sessions-stay"),
    "a kill that does nothing: H2": Case(
        "H2", "INCONCLUSIVE", "the fault did not happen", None, _silent_kill
    ),
}


def varied(lab: Deployment, folder: Path, case: Case) -> Path:
    """A copy of the lab's description, with what differs and with only the further faults of the case."""
    tree = lab.model_dump(mode="json", exclude_none=True)
    for part in tree["parts"]:
        part["faults"] = {name: part["faults"][name] for name in case.faults if name in part["faults"]}
    case.described(tree)
    file = folder / "deployment.toml"
    deployment_writer.write(Deployment.model_validate_json(json.dumps(tree)), file)
    shutil.copy(lab.path.parent / "secrets.toml", folder / "secrets.toml")
    return file


@pytest.fixture
def sabotaged(lab: Deployment) -> Iterator[Callable[[str | None], None]]:
    """Sabotages the lab's proxy; healed afterwards."""
    used: list[str] = []

    def sabotage(what: str | None) -> None:
        if what is not None:
            used.append(what)
            done = lab_command("sabotage", what, "--name", lab.name)
            assert done.returncode == 0, done.stderr

    yield sabotage
    if used:
        assert lab_command("heal", "--name", lab.name).returncode == 0


def judged(file: Path, gate: str, runs: Path) -> tuple[int, Judgement]:
    """Run one gate on a description that is no lab's own: exit status and judgement."""
    command = [sys.executable, "-m", "calorimeter", "verify", str(file), "--gates", gate]
    command += ["--runs", str(runs), "--yes-break-it"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    (kept,) = runs.glob("*/verdicts.json")
    return done.returncode, verdict.read(kept).of(gate).judgement


@pytest.mark.parametrize("name", CASES)
def test_sabotage_is_red(
    name: str, lab: Deployment, sabotaged: Callable[[str | None], None], tmp_path: Path
) -> None:
    """A sabotage turns its gate red, and the verdict says what is wrong."""
    case = CASES[name]
    sabotaged(case.sabotage)
    status, judgement = judged(varied(lab, tmp_path, case), case.gate, tmp_path / "runs")
    told = " ".join((judgement.why, *judgement.counter_examples))
    assert judgement.outcome.value == case.outcome, told
    assert case.said in told
    assert status == 1


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_leaves_nothing_broken(
    lab: Deployment, tmp_path: Path, signum: signal.Signals
) -> None:
    """Ctrl-C and kill -9 while an API is frozen: it goes on, and no fault is left open."""
    command = [sys.executable, "-m", "calorimeter", "verify", str(lab.path), "--gates", "H3"]
    run = subprocess.Popen(
        [*command, "--runs", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    journal = Journal.of(lab)
    assert soon(lambda: bool(frozen(lab)), 60)
    run.send_signal(signum)
    run.wait(60)
    assert soon(lambda: not frozen(lab) and not journal.path.exists(), 60)
    if signum is signal.SIGINT:
        assert run.returncode not in (0, 1)


def frozen(lab: Deployment) -> list[str]:
    """The parts of a lab that are frozen."""
    told = json.loads(lab_command("status", "--name", lab.name, "--json").stdout)
    return [part["name"] for part in told[0]["parts"] if part["state"] == "frozen"]


def soon(condition: Callable[[], bool], within_s: float) -> bool:
    """Whether a condition holds before its deadline."""
    deadline = time.monotonic() + within_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.2)
    return condition()


def test_a_healthy_lab_passes_and_h9_is_waived(lab: Deployment, tmp_path: Path) -> None:
    """All gates H at once on the checked proxy: PASS, the cut-off API a waived FAIL, exit status 0."""
    command = [sys.executable, "-m", "calorimeter", "verify", str(lab.path), "--gates", "H"]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path)], capture_output=True, text=True, timeout=400, check=False
    )
    (kept,) = tmp_path.glob("*/verdicts.json")
    outcomes = {v.gate: v.judgement.outcome.value for v in verdict.read(kept).verdicts}
    wanted = dict.fromkeys([f"H{n}" for n in range(1, 9)], "PASS")
    assert outcomes == {**wanted, "H9": "FAIL"}, done.stdout
    assert done.returncode == 0
    assert "about to break parts of the lab" in done.stderr
    assert "H9" in deployments.read(lab.path).waive
