"""The gates S and P under sabotage of a real lab: each turns exactly the right gates red."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter import paths, verdict
from calorimeter.verdict import Outcome, Verdict
from lab.sabotage import SABOTAGES
from tests.verify import test_sabotage_health as health

pytestmark = pytest.mark.lab

NAME = "sabotage-test"
SHAPE = ["--rest", "3", "--cfn", "3", "--engines", "1"]
PROXY = ["--maxconn", "300", "--timeouts", "client=4s,server=3s,connect=1s"]
WEAK = ["--sources", "300", "--visits", "2"]

QUICK = "S1,S2,S3,S4,S8,P1,P2,P4,P6"
"""The gates that take seconds; those that break a backend or load the APIs run where they are meant."""

CASES = {
    "roundrobin": (f"{QUICK},S5,S6,S7", "S1 S2 S3 S5 S6 S7"),
    "leastconn": (QUICK, "S1 S2 S3"),
    "cfn-roundrobin": (QUICK, "S2 S3"),
    "weight": (QUICK, "S3 S4"),
    "stick-table": (f"{QUICK},S6,S7", "S6 S7"),
    "missing-server": (QUICK, "S3 S4"),
    "keepalive-off": (QUICK, "P6"),
    "small-maxconn": (QUICK, "P4"),
    "wrong-address": (QUICK, "P2"),
    "short-timeout": (f"{QUICK},P5", "P5"),
    "translation": (QUICK, "S8"),
}
"""Sabotage → the gates that are run, and those of them that must be red."""


def calorimeter(*args: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "calorimeter", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def deployment() -> Iterator[Path]:
    """The deployment file of a lab of three backends an API; it always describes the healthy proxy."""
    up = calorimeter("lab", "up", "--name", NAME, *SHAPE, *PROXY)
    assert up.returncode == 0, up.stderr
    yield paths.lab(NAME) / "deployment.toml"
    assert calorimeter("lab", "down", "--name", NAME).returncode == 0


def verified(deployment: Path, runs: Path, gates: str) -> dict[str, Verdict]:
    """Run gates: gate → verdict."""
    done = calorimeter("verify", str(deployment), "--gates", gates, "--runs", str(runs), *WEAK)
    kept = list(runs.glob("*/verdicts.json"))
    assert kept, done.stdout + done.stderr
    return {found.gate: found for found in verdict.read(kept[0]).verdicts}


def test_healthy_proxy_is_green(deployment: Path, tmp_path: Path) -> None:
    """Without sabotage every gate S and P passes on three backends."""
    found = verified(deployment, tmp_path, "S,P")
    others = {gate: v.judgement.why for gate, v in found.items() if v.judgement.outcome is not Outcome.PASS}
    assert others == {}


def test_every_sabotage_is_tested() -> None:
    """There is no sabotage that no gate must find: what is not tested here is a matter of health."""
    assert set(CASES) | {case.sabotage for case in health.CASES.values() if case.sabotage} == set(SABOTAGES)


@pytest.mark.parametrize("sabotage", CASES)
def test_sabotage_turns_exactly_the_right_gates_red(
    sabotage: str, deployment: Path, tmp_path: Path
) -> None:
    """Each sabotage is FAIL in its gates, with counter-examples, and in no other gate."""
    gates, red = CASES[sabotage]
    try:
        done = calorimeter("lab", "sabotage", sabotage, "--name", NAME)
        assert done.returncode == 0, done.stderr
        found = verified(deployment, tmp_path, gates)
    finally:
        assert calorimeter("lab", "heal", "--name", NAME).returncode == 0
    said = {gate: f"{v.judgement.outcome}: {v.judgement.why}" for gate, v in found.items()}
    failed = {gate for gate, v in found.items() if v.judgement.outcome is Outcome.FAIL}
    assert failed == set(red.split()), said
    assert all(found[gate].judgement.counter_examples for gate in failed)


def test_healed_proxy_is_green_again(deployment: Path, tmp_path: Path) -> None:
    """After all sabotage was healed the gates are green."""
    found = verified(deployment, tmp_path, QUICK)
    assert {v.judgement.outcome for v in found.values()} == {Outcome.PASS}
