"""Gates E and L on a lab as the guide deploys it: engines with one heat.conf and one host name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome, Verdict
from tests.conftest import lab_command, temporary_lab
from tests.gates import in_process

pytestmark = pytest.mark.lab

HOST = "engine-host-1"


@pytest.fixture(scope="module")
def pair() -> Iterator[Deployment]:
    """Two engines of two workers on one host.

    L3 needs the stacks of a second burst, in which one of two REST APIs crashes.
    """
    name = f"test-{os.getpid()}-e"
    shape = ("--rest", "2", "--cfn", "1", "--engines", "2", "--engines-per-host", "2", "--workers", "2")
    with temporary_lab(name, *shape) as made:
        yield made


def verified(file: Path, gates: str, runs: Path) -> dict[str, Verdict]:
    """Run gates: gate → verdict."""
    return in_process.verified(file, gates, runs, calls=60, stacks=12)


def sentences(found: dict[str, Verdict]) -> dict[str, str]:
    """Gate → outcome and sentence."""
    return {gate: f"{each.judgement.outcome}: {each.judgement.why}" for gate, each in found.items()}


def test_faults_strike_one_engine_of_a_shared_host(pair: Deployment, tmp_path: Path) -> None:
    """Both workers of one engine go or fall silent, and the other engine serves on: all PASS.

    The processes of the struck engine are named; its own share is half of the calls.
    """
    found = verified(pair.path, "E1,E2,E6,E7,L3", tmp_path)
    assert {gate: v.judgement.outcome for gate, v in found.items()} == dict.fromkeys(
        ("E1", "E2", "E6", "E7", "L3"), Outcome.PASS
    ), sentences(found)
    assert f"4 consumers each (4 of {HOST})" in found["E1"].judgement.why
    for gate in ("E6", "E7", "L3"):
        assert f"engine-2 ({HOST} [" in found[gate].judgement.why
        assert found[gate].judgement.why.count(f"{HOST} [") >= 2
    share = found["E7"].judgement.figures["share_of_the_frozen"]
    assert isinstance(share, float)
    assert 0.4 < share < 0.6


def test_command_that_strikes_both_engines_proves_nothing(pair: Deployment, tmp_path: Path) -> None:
    """Which of them it was meant for is unknown: E6 is INCONCLUSIVE and names all that went."""
    text = pair.path.read_text(encoding="utf-8")
    for action in ("kill", "start"):
        line = next(each for each in text.splitlines() if each.endswith(f'engine-2 {action}"'))
        both = line[:-1] + " && " + line.split('"')[1].replace("engine-2", "engine-1") + '"'
        text = text.replace(line, both)
    secrets = tmp_path / "secrets.toml"
    secrets.touch(mode=0o600)
    secrets.write_bytes((pair.path.parent / "secrets.toml").read_bytes())
    file = tmp_path / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    judgement = verified(file, "E6", tmp_path / "runs")["E6"].judgement
    assert judgement.outcome is Outcome.INCONCLUSIVE, judgement.why
    assert "'kill' of engine-2 was to strike one engine, but 4 consumers went away" in judgement.why


@pytest.mark.parametrize(("sabotage", "count"), [("engine-vhost", 2), ("engine-extra", 6)])
def test_engine_too_few_or_too_many_on_a_shared_host_is_red(
    sabotage: str, count: int, pair: Deployment, tmp_path: Path
) -> None:
    """E1 is FAIL and names the processes that consume; E6 breaks nothing and points at it."""
    done = lab_command("sabotage", sabotage, "--name", pair.name)
    assert done.returncode == 0, done.stderr
    found = verified(pair.path, "E1,E6", tmp_path)
    assert found["E1"].judgement.outcome is Outcome.FAIL, sentences(found)
    (first, *_) = found["E1"].judgement.counter_examples
    assert first.startswith(f"{HOST} has {count} consumers on engine, 4 described")
    assert "heat-engine[" in first
    assert found["E6"].judgement.outcome is Outcome.INCONCLUSIVE
    assert found["E6"].judgement.why.endswith("nothing was broken: see gate E1")


def test_healed_engines_of_a_shared_host_are_green(pair: Deployment, tmp_path: Path) -> None:
    """The engine too many is gone, the other one is back."""
    assert lab_command("heal", "--name", pair.name).returncode == 0
    found = verified(pair.path, "E1,E2", tmp_path)
    assert {v.judgement.outcome for v in found.values()} == {Outcome.PASS}, sentences(found)
