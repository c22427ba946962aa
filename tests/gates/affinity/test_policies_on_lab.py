"""Gates S on a real lab whose owner wants another balance than `source`, and on one that does otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from tests.conftest import lab_command
from tests.gates import in_process

pytestmark = pytest.mark.lab


def outcomes(lab: Deployment, gates: str, runs: Path) -> dict[str, Outcome]:
    """Gate → outcome, of a first acceptance run."""
    found = in_process.verified(lab.path, gates, runs, sources=100, visits=3)
    print({gate: verdict.judgement.why for gate, verdict in found.items()})
    return {gate: verdict.judgement.outcome for gate, verdict in found.items()}


@pytest.mark.parametrize(
    ("balance", "mode", "gates", "not_run"),
    [
        ("roundrobin", "tcp", "S1,S2,S3,S4,S6,S7,S8,P7", {"S1", "S2", "S8", "P7"}),
        ("roundrobin", "http", "S3,S5", set()),
        ("uri", "http", "S1,S3,S4", set()),
        ("random", "tcp", "S3,S4", {"S3"}),
        ("first", "tcp", "S3", set()),
        ("leastconn", "tcp", "S1,S3,S4", {"S1", "S4"}),
    ],
)
def test_what_is_wanted_is_judged(
    lab: Deployment, tmp_path: Path, balance: str, mode: str, gates: str, not_run: set[str]
) -> None:
    """PASS, or NOT RUN where the policy promises nothing."""
    try:
        changed = lab_command("proxy", "--name", lab.name, "--balance", balance, "--mode", mode)
        assert changed.returncode == 0, changed.stderr
        found = outcomes(lab, gates, tmp_path)
    finally:
        assert lab_command("proxy", "--name", lab.name).returncode == 0
    away = {gate for gate, outcome in found.items() if outcome is Outcome.NOT_RUN}
    assert away == not_run
    assert {outcome for gate, outcome in found.items() if gate not in away} == {Outcome.PASS}


def test_another_policy_than_the_wanted_one_is_found(lab: Deployment, tmp_path: Path) -> None:
    """The owner wants turns, and the proxy goes by the source or by the fewest connections."""
    text = lab.path.read_text(encoding="utf-8")
    secrets = f'file = "{lab.path.parent / "secrets.toml"}"'
    text = text.replace('file = "secrets.toml"', secrets)
    file = tmp_path / "deployment.toml"
    file.write_text(text.replace('balance = "source"', 'balance = "roundrobin"'), encoding="utf-8")
    found = in_process.verified(file, "S3", tmp_path / "runs", sources=100, visits=3)
    assert found["S3"].judgement.outcome is Outcome.FAIL, found
    assert "were not taken in turn by weight" in found["S3"].judgement.why
