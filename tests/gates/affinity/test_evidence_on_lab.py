"""The affinity gates on a real lab by every kind of evidence, the strongest that there is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome, Verdicts
from tests.conftest import lab_command
from tests.gates import in_process
from tests.gates.other_evidence import PASSWORD, elsewhere

pytestmark = pytest.mark.lab

GATES = "S1,S2,S3,S4,S8"


def without_log(lab: Deployment, folder: Path) -> Path:
    """The lab's deployment file without the proxy's log."""
    text = lab.path.read_text(encoding="utf-8")
    text = re.sub(r"^logs = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace(
        'file = "secrets.toml"', f"file = {json.dumps(str(lab.path.parent / 'secrets.toml'))}"
    )
    file = folder / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    return file


def verified(file: Path, runs: Path, **strength: int) -> Verdicts:
    """Run the affinity gates that break nothing."""
    return Verdicts(verdicts=tuple(in_process.verified(file, GATES, runs, **strength).values()))


def test_live_sessions_stand_in_for_a_missing_log(lab: Deployment, tmp_path: Path) -> None:
    """Without a log connections are held open and found in the table of live sessions."""
    file = without_log(lab, tmp_path)
    found = verified(file, tmp_path / "runs", sources=300, visits=2)
    assert {v.judgement.outcome for v in found.verdicts} == {Outcome.PASS}
    assert found.of("S1").judgement.figures["evidence"] == "the proxy's table of live sessions"


def test_counters_stand_in_in_mode_http(lab: Deployment, tmp_path: Path) -> None:
    """In mode http an answered request leaves no server in that table: counters are read around each visit.

    They show no addresses, so S8 cannot tell whether sources are translated on their way.
    """
    file = without_log(lab, tmp_path)
    try:
        assert lab_command("proxy", "--name", lab.name, "--mode", "http").returncode == 0
        found = verified(file, tmp_path / "runs", sources=300, visits=2)
    finally:
        assert lab_command("proxy", "--name", lab.name).returncode == 0
    outcomes = {v.gate: v.judgement.outcome for v in found.verdicts}
    assert outcomes.pop("S8") is Outcome.INCONCLUSIVE
    assert set(outcomes.values()) == {Outcome.PASS}
    assert "counters" in str(found.of("S1").judgement.figures["evidence"])


def test_single_source_is_inconclusive_with_how_many_would_do(lab: Deployment, tmp_path: Path) -> None:
    """One client address cannot show affinity, and the verdict says how many could."""
    text = lab.path.read_text(encoding="utf-8")
    text = re.sub(r"^sources = .*\n", "", text, flags=re.MULTILINE)
    text = text.replace(
        'file = "secrets.toml"', f"file = {json.dumps(str(lab.path.parent / 'secrets.toml'))}"
    )
    file = tmp_path / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    found = verified(file, tmp_path / "runs")
    s8 = found.of("S8").judgement
    assert s8.outcome is Outcome.INCONCLUSIVE
    assert "299 would do" in s8.why
    assert found.of("S1").judgement.outcome is Outcome.INCONCLUSIVE


def test_a_log_file_and_a_stats_page_will_do(
    lab: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log from a file that is being written, the proxy's state from a page with a password."""
    monkeypatch.setenv("PAGE", PASSWORD)
    with elsewhere(lab, tmp_path) as file:
        found = in_process.verified(file, f"{GATES},H1", tmp_path / "runs", sources=300, visits=2)
    told = {gate: v.judgement.why for gate, v in found.items()}
    assert {v.judgement.outcome for v in found.values()} == {Outcome.PASS}, told
    assert found["S1"].judgement.figures["evidence"] == "the proxy's log"
    assert "/stats" in str(found["H1"].judgement.figures["evidence"])
