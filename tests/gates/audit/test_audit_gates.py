"""Gates A: the audit's findings become verdicts of an acceptance run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calorimeter.config.audit.judgement import BY_ID, GATES, judged
from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome
from calorimeter.gates.audit.audited_files import audited
from calorimeter.gates.context import Context, Settings
from calorimeter.gates.judge import AcceptanceRun, Given
from calorimeter.gates.registry import known
from tests.places import GUIDE

PLAIN = """
name = "guide"
[rest]
url = "http://10.0.0.1:8004/v1"
proxy_section = "rest_api_proxy"
backends = [{ name = "rest-server-1", address = "10.0.0.2:8004" }]
"""
PROXY = '[[proxy]]\nconfig = ["apis-proxy.conf"]\n'
HEAT = "".join(f'[[heat_conf]]\nhost = "{n.upper()}"\nfiles = ["heat-{n}.conf"]\n' for n in "bc")
READ_FROM_PROXY = {"A2", "A5", "A6", "A7", "A8", "A9"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the guide's files."""
    for file in GUIDE.glob("*.conf"):
        shutil.copy(file, tmp_path)
    return tmp_path


def session(folder: Path, text: str, gates: str) -> AcceptanceRun:
    """An acceptance run before its first gate."""
    file = folder / "deployment.toml"
    file.write_text(text)
    return AcceptanceRun.prepare(Given(str(file), gates, None, folder / "runs", Settings()))


def outcomes(folder: Path, text: str) -> dict[str, Outcome]:
    """Gate A → its outcome for a deployment."""
    (folder / "deployment.toml").write_text(text)
    context = Context(deployments.read(folder / "deployment.toml"), Settings())
    evidence = audited(context)
    return {gate.id: judged(gate.id)(evidence).outcome for gate in GATES}


def test_every_gate_of_the_audit_is_a_gate_of_verify() -> None:
    """The audit and the registry have the same ids, headings and sentences of the guide."""
    here = {i: (g.heading, g.guide) for i, g in known().items() if i.startswith("A")}
    assert here == {gate.id: (gate.heading, gate.guide) for gate in GATES}
    assert {gate.id for gate in GATES if gate.needs_proxy} == READ_FROM_PROXY


def test_the_known_faults_of_the_guides_files_fail(folder: Path) -> None:
    """For the guide's literal files the gates with known faults are FAIL, the others PASS."""
    found = outcomes(folder, PLAIN + PROXY + HEAT)
    red = {gate for gate, outcome in found.items() if outcome is Outcome.FAIL}
    assert red == {"A6", "A7", "A8", "A9", "A10", "A12"}
    assert set(found.values()) == {Outcome.PASS, Outcome.FAIL}


def test_a_gate_without_its_files_does_not_run(folder: Path) -> None:
    """A gate without its files is NOT RUN if its letter selects it, and INCONCLUSIVE if its id does."""
    run = session(folder, PLAIN + PROXY, "A")
    assert set(run.allowed) == READ_FROM_PROXY
    assert {v.judgement.outcome for v in run.new.values()} == {Outcome.NOT_RUN}
    assert not run.refused
    asked = session(folder, PLAIN + PROXY, "A1")
    assert asked.new["A1"].judgement.outcome is Outcome.INCONCLUSIVE
    assert "names no heat.conf" in asked.new["A1"].judgement.why
    assert asked.refused


def test_a_file_that_cannot_be_read_is_inconclusive(folder: Path) -> None:
    """A missing file makes the evidence unavailable."""
    (folder / "heat-c.conf").unlink()
    with pytest.raises(Exception, match=r"heat-c\.conf: cannot be read"):
        outcomes(folder, PLAIN + HEAT)


def test_a_waived_rule_waives_a_gate_without_other_faults(folder: Path) -> None:
    """The FAIL stays a FAIL; it is acceptable if each error and warning of the gate is waived."""
    (folder / "deployment.toml").write_text(PLAIN + PROXY + HEAT + '[waive]\nA8-maxconn-order = "known"\n')
    evidence = audited(Context(deployments.read(folder / "deployment.toml"), Settings()))
    assert evidence.waived("A8") is None
    text = PLAIN + PROXY + HEAT + '[waive]\nA7-redispatch-map-based = "health checks rescue"\n'
    run = session(folder, text, "A7")
    assert run.allowed == ["A7"]
    evidence = audited(run.context)
    assert evidence.waived("A7") == "health checks rescue"
    assert judged("A7")(evidence).outcome is Outcome.FAIL
    assert run.keep(known()["A7"], judged("A7")(evidence), (), evidence.waived("A7")).acceptable


def test_a_waiver_of_an_unknown_gate_is_rejected(folder: Path) -> None:
    """The gate of a waived rule must exist."""
    with pytest.raises(InputError, match="unknown gate 'B7'"):
        session(folder, PLAIN + PROXY + '[waive]\nB7-no = "x"\n', "A")


def test_no_secret_is_in_the_evidence(folder: Path) -> None:
    """The passwords of the files are masked in the evidence."""
    (folder / "deployment.toml").write_text(PLAIN + PROXY + HEAT)
    evidence = audited(Context(deployments.read(folder / "deployment.toml"), Settings()))
    assert BY_ID["A10"].id in {fault.gate for fault in evidence.faults}
    text = evidence.model_dump_json()
    assert "root:admin" not in text
    assert "password = admin" not in text
    assert ":…@" in text or "***" in text


def test_bytes_that_are_not_utf_8_are_readable_in_the_evidence(folder: Path) -> None:
    """A comment in another encoding does not stop the gates; the evidence shows its bytes as \ufffd."""
    file = folder / "apis-proxy.conf"
    file.write_bytes(file.read_bytes().replace(b"log  global", b"log  global # caf\xe9"))
    (folder / "deployment.toml").write_text(PLAIN + PROXY)
    evidence = audited(Context(deployments.read(folder / "deployment.toml"), Settings()))
    assert "caf\ufffd" in evidence.model_dump_json()
