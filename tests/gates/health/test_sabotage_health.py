"""Sabotages of backend health on the real lab: each must turn the right gate red, and say why."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from calorimeter.config import deployment_writer
from calorimeter.core import deployment as deployments
from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.faults.journal import Journal
from calorimeter.core.faults.schedule import HEALED_BY
from calorimeter.core.waiting import poll
from calorimeter.lab import status
from calorimeter.lab.sabotage import proxy_sabotage as sabotages
from tests.gates.in_process import verified

pytestmark = pytest.mark.lab

Tree = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A sabotage of the proxy, how the deployment file differs with it, the faults for which there are
    commands, the gates' outcomes, and a phrase of the verdict of each gate that must not be green."""

    outcomes: dict[str, str]
    phrases: dict[str, str]
    sabotage: str | None = None
    described: Callable[[Tree], None] = field(default=lambda tree: None)
    faults: tuple[str, ...] = ("kill",)


def _fall_100(tree: Tree) -> None:
    tree["proxy"][0]["checks"]["fall"] = 100


def _check_30s(tree: Tree) -> None:
    tree["proxy"][0]["checks"]["timeout_check_s"] = 30.0


def _silent_kill(tree: Tree) -> None:
    for part in tree["parts"]:
        part["kill"] = "true"


CASES = {
    "unchecked": Case(
        {"H1": "FAIL", "H2": "FAIL", "H5": "FAIL"},
        {
            "H1": "does not check any of its servers",
            "H2": "the proxy shows 'no check'",
            "H5": "never taken out of service",
        },
        "unchecked",
    ),
    "backup": Case({"H1": "FAIL"}, {"H1": "are only backups"}, "backup"),
    "fall 100": Case(
        {"H1": "PASS", "H2": "FAIL"},
        {"H2": "allows 100 s to detect it, but max_detection_s is 5 s"},
        "fall-100",
        _fall_100,
    ),
    "timeout check 30s": Case(
        {"H1": "PASS", "H3": "FAIL"},
        {"H3": "allows 62 s to detect it"},
        "slow-checks",
        _check_30s,
        faults=("freeze",),
    ),
    "a path that is always answered": Case(
        {"H1": "PASS", "H2": "FAIL"},
        {"H2": "not /healthcheck"},
        "any-path",
        faults=("kill", "refuse-checks"),
    ),
    "sessions stay": Case(
        {"H1": "PASS", "H3": "FAIL"},
        {"H3": "on-marked-down shutdown-sessions"},
        "sessions-stay",
        faults=("freeze",),
    ),
    "a kill that does nothing": Case(
        {"H1": "PASS", "H2": "INCONCLUSIVE"}, {"H2": "the fault did not happen"}, None, _silent_kill
    ),
}


def varied(lab: Deployment, folder: Path, case: Case) -> Path:
    """A copy of the lab's deployment file for a case, with commands for the case's faults only."""
    tree = lab.model_dump(mode="json", exclude_none=True)
    for part in tree["parts"]:
        part["faults"] = {name: part["faults"][name] for name in case.faults if name in part["faults"]}
        for fault, heals in HEALED_BY.items():
            if fault not in case.faults:
                part.pop(fault, None)
                if heals != "start":
                    part.pop(heals, None)
    case.described(tree)
    file = folder / "deployment.toml"
    deployment_writer.write(Deployment.model_validate_json(json.dumps(tree)), file)
    shutil.copy(lab.path.parent / "secrets.toml", folder / "secrets.toml")
    return file


@pytest.fixture(scope="module")
def sabotaged(lab: Deployment) -> Iterator[Callable[[str | None], None]]:
    """A function that sabotages the lab's proxy (None: heals it); it is healed at the end."""

    def sabotage(what: str | None) -> None:
        if what is None:
            sabotages.heal(lab.name)
        else:
            sabotages.sabotage(lab.name, what)

    yield sabotage
    sabotages.heal(lab.name)


@pytest.mark.parametrize("name", CASES)
def test_sabotage_is_red(
    name: str, lab: Deployment, sabotaged: Callable[[str | None], None], tmp_path: Path
) -> None:
    """A sabotage turns exactly its gates red, and the verdicts say what is wrong."""
    case = CASES[name]
    sabotaged(case.sabotage)
    found = verified(varied(lab, tmp_path, case), ",".join(case.outcomes), tmp_path / "runs")
    judged = {gate: verdict.judgement for gate, verdict in found.items()}
    verdicts = {gate: " ".join((j.why, *j.counter_examples)) for gate, j in judged.items()}
    assert {gate: j.outcome.value for gate, j in judged.items()} == case.outcomes, verdicts
    for gate, words in case.phrases.items():
        assert words in verdicts[gate]


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGKILL])
def test_an_ended_run_leaves_nothing_broken(
    lab: Deployment, tmp_path: Path, signum: signal.Signals
) -> None:
    """After Ctrl-C or kill -9 while an API is frozen, the API continues and no fault is left open."""
    command = [sys.executable, "-m", "calorimeter", "verify", str(lab.path), "--gates", "H3"]
    run = subprocess.Popen(
        [*command, "--runs", str(tmp_path)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    journal = Journal.of(lab)
    seen = poll(lambda: frozen(lab), 60, every_s=0.2)
    run.send_signal(signum)
    _, errors = run.communicate(timeout=60)
    assert seen, errors
    assert poll(lambda: not frozen(lab) and not journal.path.exists(), 60, every_s=0.2)
    if signum is signal.SIGINT:
        assert run.returncode == 130, errors
        assert "without a verdict: H3" in errors


def frozen(lab: Deployment) -> list[str]:
    """The parts of a lab that are frozen."""
    return [part["name"] for part in status.status(lab.name)["parts"] if part["state"] == "frozen"]


def test_a_healthy_lab_passes_and_h9_is_waived(
    lab: Deployment, sabotaged: Callable[[str | None], None], tmp_path: Path
) -> None:
    """With the checked proxy all is PASS but H9, a waived FAIL, and the exit status is 0.

    Crash and drain stand for the other faults here; `bin/soak health` repeats the whole set.
    """
    sabotaged(None)
    case = Case({}, {}, faults=("kill", "drain", "cut-off"))
    command = [sys.executable, "-m", "calorimeter", "verify", str(varied(lab, tmp_path, case))]
    command += ["--gates", "H1,H2,H5,H6,H9", "--runs", str(tmp_path / "runs"), "--yes-break-it"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    (kept,) = tmp_path.glob("runs/*/verdicts.json")
    outcomes = {v.gate: v.judgement.outcome.value for v in verdict.read(kept).verdicts}
    assert outcomes == {**dict.fromkeys(["H1", "H2", "H5", "H6"], "PASS"), "H9": "FAIL"}, done.stdout
    assert done.returncode == 0
    assert "about to break parts of DEPLOYMENT" in done.stderr
    assert "rest-1: kill, drain, cut-off" in done.stderr
    assert "rest-2" not in done.stderr
    assert "H9" in deployments.read(lab.path).waive
