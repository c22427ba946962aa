"""The gates S and P under sabotage of a real lab: each turns exactly the right gates red."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome, Verdict
from calorimeter.lab.sabotage import proxy_sabotage as sabotages
from tests.conftest import lab_command
from tests.gates import in_process
from tests.gates.health import test_sabotage_health as health

pytestmark = pytest.mark.lab

SERVERS = 3
"""Backends of each API: of two all must go to the other one, whatever the hash."""

PROXY = ["--maxconn", "300", "--timeouts", "client=4s,server=3s,connect=1s"]
WEAK = {"sources": 300, "visits": 2}

AT_ONCE = "S1,S2,S3,S4,S8,P1,P2,P6"
"""The gates that only look, and take seconds together."""

QUICK = f"{AT_ONCE},P4"

LONG = "S5,S6,S7,P3,P5,P7"
"""Those that break something, wait for timeouts or call a client: minutes together."""


@dataclass(frozen=True)
class Case:
    """The gates that a sabotage must turn red, of `AT_ONCE` and those that are run `besides`.

    `bin/soak affinity` runs all gates: then those of `LONG` that are `long_red` must be red as well.
    """

    red: str
    besides: str = ""
    long_red: str = ""

    @property
    def red_of_all(self) -> set[str]:
        """What must be red where all gates are run."""
        return set(f"{self.red} {self.long_red}".split())


CASES = {
    "roundrobin": Case("S1 S2 S3", long_red="S5 S6 S7"),
    "leastconn": Case("S1 S2 S3", long_red="S5 S6 S7"),
    "cfn-roundrobin": Case("S2 S3", long_red="S5 S6 S7"),
    "weight": Case("S3 S4"),
    "stick-table": Case("S6 S7", besides="S6,S7,P7"),
    "missing-server": Case("S3 S4"),
    "keepalive-off": Case("P6"),
    "small-maxconn": Case("P4", besides="P4"),
    "wrong-address": Case("P2"),
    "short-timeout": Case("P5", besides="P5"),
    "translation": Case("S8"),
}
"""Sabotage → what it must turn red, and nothing else."""


def calorimeter(*args: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "calorimeter", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def shaped(lab: Deployment) -> Iterator[Deployment]:
    """The lab with three backends an API and a proxy of short timeouts; its file describes that."""
    servers = len(lab.rest.backends) if lab.rest else 2
    _scale(lab, max(SERVERS, servers))
    assert lab_command("proxy", "--name", lab.name, *PROXY).returncode == 0
    yield lab
    assert lab_command("proxy", "--name", lab.name).returncode == 0
    _scale(lab, servers)


def _scale(lab: Deployment, servers: int) -> None:
    done = lab_command("scale", "--name", lab.name, "--rest", str(servers), "--cfn", str(servers))
    assert done.returncode == 0, done.stderr


def failed(found: dict[str, Verdict]) -> set[str]:
    """The gates that are FAIL."""
    return {gate for gate, v in found.items() if v.judgement.outcome is Outcome.FAIL}


def others(found: dict[str, Verdict]) -> dict[str, str]:
    """The sentences of the gates that did not pass."""
    return {
        gate: "; ".join((f"{v.judgement.outcome}: {v.judgement.why}", *v.judgement.counter_examples[:2]))
        for gate, v in found.items()
        if v.judgement.outcome is not Outcome.PASS
    }


def test_every_sabotage_is_tested() -> None:
    """Every sabotage is found by a gate: those that are not tested here belong to the gates H."""
    of_health = {case.sabotage for case in health.CASES.values() if case.sabotage}
    assert set(CASES) | of_health == set(sabotages.SABOTAGES)


@pytest.mark.parametrize("sabotage", CASES)
def test_sabotage_turns_exactly_the_right_gates_red(
    sabotage: str, shaped: Deployment, tmp_path: Path
) -> None:
    """Each sabotage is FAIL in its gates, with counter-examples, and in no other gate."""
    case = CASES[sabotage]
    gates = ",".join(filter(None, (AT_ONCE, case.besides)))
    sabotages.sabotage(shaped.name, sabotage)
    found = in_process.verified(shaped.path, gates, tmp_path, **WEAK)
    assert failed(found) == set(case.red.split()), others(found)
    assert all(found[gate].judgement.counter_examples for gate in failed(found))


def test_queue_and_every_timeout_are_proven(shaped: Deployment, tmp_path: Path) -> None:
    """In `mode http` each timeout ends a wait of its own, but for `client`, masked by a shorter one."""
    short = "client=5s,server=4s,connect=1s,http-request=3s"
    limits = ("--maxconn", "300", "--server-maxconn", "10", "--timeouts", short)
    assert lab_command("proxy", "--name", shaped.name, "--mode", "http", *limits).returncode == 0
    try:
        found = in_process.verified(shaped.path, "P4,P5", tmp_path, **WEAK)
    finally:
        assert lab_command("proxy", "--name", shaped.name, *PROXY).returncode == 0
    assert others(found) == {}
    assert all(found["P4"].judgement.figures[f"{api}_most_queued"] for api in ("rest", "cfn"))
    for api in ("rest", "cfn"):
        assert found["P5"].judgement.figures[f"{api}_proven"] == "connect, http-request, server"
        assert found["P5"].judgement.figures[f"{api}_masked"] == "client"


def test_healed_proxy_is_green(shaped: Deployment, tmp_path: Path) -> None:
    """After all sabotage was healed the gates are green, by the command as well."""
    sabotages.heal(shaped.name)
    options = [word for name, number in WEAK.items() for word in (f"--{name}", str(number))]
    done = calorimeter("verify", str(shaped.path), "--gates", QUICK, "--runs", str(tmp_path), *options)
    (kept,) = tmp_path.glob("*/verdicts.json")
    assert others({v.gate: v for v in verdict.read(kept).verdicts}) == {}
    assert done.returncode == 0
