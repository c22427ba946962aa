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
    ("options", "gates", "not_run"),
    [
        ("--balance roundrobin", "S1,S2,S3,S4,S6,S7,S8,P7", {"S1", "S2", "S8", "P7"}),
        ("--balance roundrobin --mode http", "S3,S5", set()),
        ("--balance uri --mode http", "S1,S3,S4", set()),
        ("--balance random", "S3,S4", {"S3"}),
        ("--balance first", "S3", set()),
        ("--balance leastconn", "S1,S3,S4", {"S1", "S4"}),
        ("--balance roundrobin --stick-on src", "S1,S2,S3,S4,S5,S6,S7,P7", {"S4"}),
        (
            "--balance leastconn --stick-on cookie --mode http",
            "S1,S2,S3,S4,S5,S6,S7,S8,S9,P7",
            {"S4", "S8"},
        ),
    ],
)
def test_what_is_wanted_is_judged(
    lab: Deployment, tmp_path: Path, options: str, gates: str, not_run: set[str]
) -> None:
    """PASS, or NOT RUN where the policy promises nothing."""
    try:
        changed = lab_command("proxy", "--name", lab.name, *options.split())
        assert changed.returncode == 0, changed.stderr
        found = outcomes(lab, gates, tmp_path)
    finally:
        assert lab_command("proxy", "--name", lab.name).returncode == 0
    away = {gate for gate, outcome in found.items() if outcome is Outcome.NOT_RUN}
    assert away == not_run
    assert {outcome for gate, outcome in found.items() if gate not in away} == {Outcome.PASS}


def wanted(lab: Deployment, folder: Path, expect: str) -> Path:
    """The lab's description, whose owner wants something else than `balance source`."""
    text = lab.path.read_text(encoding="utf-8")
    text = text.replace('file = "secrets.toml"', f'file = "{lab.path.parent / "secrets.toml"}"')
    assert text.count('balance = "source"') == 1
    file = folder / "deployment.toml"
    file.write_text(text.replace('balance = "source"', expect), encoding="utf-8")
    return file


def test_another_policy_than_the_wanted_one_is_found(lab: Deployment, tmp_path: Path) -> None:
    """The owner wants turns, and the proxy goes by the source."""
    file = wanted(lab, tmp_path, 'balance = "roundrobin"')
    found = in_process.verified(file, "S3", tmp_path / "runs", sources=100, visits=3)
    assert found["S3"].judgement.outcome is Outcome.FAIL, found
    assert "were not taken in turn by weight" in found["S3"].judgement.why


def test_clients_that_should_stick_and_do_not_are_found(lab: Deployment, tmp_path: Path) -> None:
    """The proxy takes turns, and has no stick table."""
    file = wanted(lab, tmp_path, 'stick_on = "src"')
    try:
        assert lab_command("proxy", "--name", lab.name, "--balance", "roundrobin").returncode == 0
        found = in_process.verified(file, "S1,S2,S5", tmp_path / "runs", sources=100, visits=3)
    finally:
        assert lab_command("proxy", "--name", lab.name).returncode == 0
    assert {verdict.judgement.outcome for verdict in found.values()} == {Outcome.FAIL}, found


def test_a_stick_table_is_lost_with_its_process(lab: Deployment, tmp_path: Path) -> None:
    """S9: clients are given backends in turn again, and most get another one."""
    options = ("--balance", "roundrobin", "--stick-on", "src")
    try:
        assert lab_command("proxy", "--name", lab.name, *options).returncode == 0
        found = in_process.verified(lab.path, "S9", tmp_path, sources=100)
    finally:
        assert lab_command("proxy", "--name", lab.name).returncode == 0
    assert found["S9"].judgement.outcome is Outcome.FAIL, found
    assert "had another REST backend after proxy was restarted" in found["S9"].judgement.why
    assert found["S9"].waived


def test_a_source_that_goes_back_does_not_stick(lab: Deployment, tmp_path: Path) -> None:
    """`balance source` alone sends clients back once their server returns; a table would keep them."""
    file = wanted(lab, tmp_path, 'stick_on = "src"')
    found = in_process.verified(file, "S1,S7", tmp_path / "runs", sources=100, visits=3)
    assert found["S1"].judgement.outcome is Outcome.PASS
    assert found["S7"].judgement.outcome is Outcome.FAIL, found
    assert "moved once more when" in found["S7"].judgement.why
