"""`describe --control` and `control check`, as an operator calls them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from calorimeter.commands import configuration
from calorimeter.commands.control import control
from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from tests.config.audit import clean


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the files of a proxy and of two Heat machines, and no program to be run."""
    (tmp_path / "haproxy.cfg").write_text(clean.PROXY)
    (tmp_path / "b.conf").write_text(clean.heat("10.0.0.2"))
    (tmp_path / "c.conf").write_text(clean.heat("10.0.0.3"))
    monkeypatch.chdir(tmp_path)

    def refuse(*words: object, **more: object) -> None:
        pytest.fail(f"{words} was run")

    monkeypatch.setattr(subprocess, "Popen", refuse)


def describe(*more: str) -> Result:
    """Describe the files."""
    words = ("--proxy", "haproxy.cfg", "--heat-conf", "B=b.conf", "--heat-conf", "C=c.conf", "--no-resolve")
    return CliRunner().invoke(configuration.describe, [*words, *more], standalone_mode=False)


def check() -> str:
    """What `control check` prints."""
    result = CliRunner().invoke(control, ["check", "deployment.toml"], standalone_mode=False)
    assert result.return_value == 0, result.output
    return result.stdout


def test_from_the_files_to_every_gate_without_a_command_by_hand() -> None:
    """`describe` writes the table and where hosts are; the check shows what would be run."""
    given = ("--control", "systemd", "--ssh", "root@{host}", "--consent", "invasive")
    result = describe(*given, "--stats", "tcp://10.0.0.1:9999")
    assert "calorimeter control check deployment.toml" in result.stdout
    described = deployments.as_written(Path("deployment.toml"))
    assert described.control is not None
    assert described.control.hosts == {"B": "10.0.0.2", "C": "10.0.0.3"}
    assert described.parts == ()
    shown = check()
    assert "root@10.0.0.3 'systemctl is-active heat-engine && echo at_ns=now" in shown
    assert "set server rest_api_proxy/rest-1 state drain" in shown
    gates = shown.partition("gates that break parts")[2]
    for gate in ("E5", "E6", "E7", "E8", "E9", "H2", "H3", "H4", "H6", "H7", "H8", "H9", "L3", "P6", "S6"):
        assert f"  {gate:<4} open" in gates, gates
    assert "INCONCLUSIVE" not in gates
    of_gate = re.split(r"\n  (?=[A-Z]\d)", gates)
    assert any("NOT RUN" in each for each in of_gate)
    assert not [each for each in of_gate if "NOT RUN" in each and "breaks:" in each]


def test_without_a_driver_it_is_missing_only_if_parts_may_be_broken() -> None:
    """The command to paste has both options."""
    assert "--control" not in describe().stderr
    missing = describe("--force", "--consent", "invasive").stderr
    assert "missing: control: what starts and stops the parts" in missing
    assert "--control DRIVER --ssh root@{host}" in missing


def test_ssh_without_a_driver_is_refused() -> None:
    """Nothing would use it."""
    result = describe("--ssh", "root@{host}")
    assert isinstance(result.exception, InputError)
    assert "--control" in str(result.exception)


def test_a_command_of_the_owner_is_not_shown() -> None:
    """It may have a password in it."""
    describe("--consent", "invasive")
    with Path("deployment.toml").open("a") as file:
        file.write('\n[[parts]]\nname = "rest-1"\nkind = "rest"\nkill = "off -p hunter2"\nstart = "on"\n')
    shown = check()
    assert "hunter2" not in shown
    assert "kill           as [[parts]] has it" in shown
    assert "  H2   open" in shown
    assert "  H3   INCONCLUSIVE" in shown
    assert "freeze (rest)" in shown


def test_gates_beyond_the_consent_are_not_run() -> None:
    """The reason is the one that `verify` gives."""
    describe("--control", "podman")
    assert "  H8   NOT RUN: needs consent = 'invasive', [consent] gives 'passive'" in check()


def test_a_deployment_that_allows_nothing_says_what_is_missing() -> None:
    """One line."""
    describe()
    with pytest.raises(InputError, match=r"has no \[control\] and no \[\[parts\]\]"):
        CliRunner().invoke(
            control, ["check", "deployment.toml"], standalone_mode=False, catch_exceptions=False
        )
