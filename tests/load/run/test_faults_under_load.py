"""Faults beside a load: refused beforehand, carried out, kept in the run."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter import cli
from calorimeter.commands import run as run_command
from calorimeter.core.deployment import Deployment, read
from calorimeter.core.errors import InputError
from calorimeter.core.faults.injector import FaultInjector, execute_schedule
from calorimeter.core.faults.journal import Unhealed
from calorimeter.core.faults.schedule import Schedule, parse, resolve
from calorimeter.core.faults.shell_command import CommandFailed
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import until
from calorimeter.load.run.faults_under_load import ScheduledFaults
from calorimeter.load.run.followed_load import EndedLoad

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "r"
backends = [{{ name = "a", address = "127.0.0.1:2" }}]
[[parts]]
name = "a"
kind = "rest"
kill = "touch {0}/broken"
start = "rm -f {0}/broken"
freeze = "echo cannot; exit 7"
thaw = "true"
drain = "touch {0}/drained"
undrain = "echo no way; exit 3"
[consent]
level = "invasive"
"""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that may be broken, with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "cloud.toml").write_text(FILE.format(tmp_path))
    return read(tmp_path / "cloud.toml")


def test_faults_on_a_deployment_that_is_not_a_lab_need_the_option(cloud: Deployment) -> None:
    """A load with faults on a deployment that is not a lab needs --yes-break-it; one without does not."""
    with pytest.raises(InputError, match="--yes-break-it"):
        ScheduledFaults.of(cloud, [parse("a:kill@0s+1s")], yes_break_it=False)
    ScheduledFaults.of(cloud, [], yes_break_it=False)


@pytest.mark.slow  # starts programs
def test_a_fault_is_healed_with_the_end_of_the_load_and_kept(cloud: Deployment, tmp_path: Path) -> None:
    """A load that ends before its fault heals it at once, and the run has its times."""
    faults_of_load = ScheduledFaults.of(cloud, [parse("a:kill@0s+60s")], yes_break_it=True)
    with faults_of_load:
        faults_of_load.begin()
        until((tmp_path / "broken").exists, 10)
        assert (tmp_path / "broken").exists()
    assert not (tmp_path / "broken").exists()
    run = RunDir.create(cloud, runs=tmp_path / "runs", name="load")
    faults_of_load.keep(run)
    (kept,) = json.loads((run.path / "evidence" / "faults.json").read_text())["faults"]
    assert kept["fault"] == {"part": "a", "fault": "kill", "at_s": 0.0, "for_s": 60.0}
    assert kept["began_ns"] <= kept["ended_ns"] <= kept["healed_ns"]
    assert faults_of_load.problem is None


@pytest.mark.slow  # starts programs
def test_a_fault_that_cannot_be_injected_is_reported(cloud: Deployment) -> None:
    """A command that fails makes the run a failed one."""
    faults_of_load = ScheduledFaults.of(cloud, [parse("a:freeze@0s+1s")], yes_break_it=True)
    with faults_of_load:
        faults_of_load.begin()
        until(lambda: faults_of_load.problem, 10)
    assert "ended with status 7: cannot" in str(faults_of_load.problem)


def kept(run: RunDir) -> list[str]:
    """The faults that a run has recorded."""
    found = json.loads((run.path / "evidence" / "faults.json").read_text())["faults"]
    return [each["fault"]["fault"] for each in found]


@pytest.mark.slow
def test_faults_are_recorded_although_another_one_fails(cloud: Deployment, tmp_path: Path) -> None:
    """A command that fails does not remove the earlier faults from the record."""
    faults = [parse("a:kill@0s+100ms"), parse("a:freeze@300ms+1s")]
    faults_of_load = ScheduledFaults.of(cloud, faults, yes_break_it=True)
    with faults_of_load:
        faults_of_load.begin()
        until(lambda: faults_of_load.problem, 10)
    run = RunDir.create(cloud, runs=tmp_path / "runs", name="load")
    faults_of_load.keep(run)
    assert kept(run) == ["kill"]


@pytest.mark.slow  # starts programs
def test_a_fault_that_fails_for_another_reason_is_reported(cloud: Deployment, tmp_path: Path) -> None:
    """An error outside a command is reported too, and the fault is healed."""
    planned = resolve(Schedule(fault=(parse("a:kill@0s+60s"),)), cloud)

    def say(line: str) -> None:
        raise OSError(5, "standard error is gone")

    with pytest.raises(CommandFailed, match="standard error is gone"), FaultInjector(cloud) as injector:
        execute_schedule(injector, planned, say)
    assert not (tmp_path / "broken").exists()


@pytest.mark.parametrize(
    ("ended", "status", "words"),
    [
        (
            EndedLoad(1, "RUN", early="p95 of * at most 1 ms: …"),
            1,
            ["ended early: p95 of * at most 1 ms: …"],
        ),
        (
            EndedLoad(2, "RUN", early="p95 of * at most 1 ms: …"),
            2,
            ["ended early: p95 of * at most 1 ms: …"],
        ),
        (EndedLoad(0, "RUN", 2, early="p95"), 130, ["ended early: p95"]),
        (EndedLoad(1, "RUN"), 2, []),
        (EndedLoad(0, "RUN"), 0, []),
    ],
)
def test_a_load_that_an_objective_ended_has_status_1(
    cloud: Deployment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    ended: EndedLoad,
    status: int,
    words: list[str],
) -> None:
    """The line before the last says which; one that failed or was interrupted as well has that status."""
    run = RunDir.create(cloud, runs=tmp_path / "runs", name="load")
    commands: list[list[str]] = []

    def follow(command: list[str], begun: Callable[[], None]) -> EndedLoad:
        commands.append(command)
        return replace(ended, run=str(run.path))

    monkeypatch.setattr(run_command, "follow", follow)
    given = ["calorimeter", "run", "--deployment", str(tmp_path / "cloud.toml"), "--abort-on-objective"]
    monkeypatch.setattr(sys, "argv", given)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert (left.value.code, capfd.readouterr().out.splitlines()) == (status, [*words, f"run: {run.path}"])
    assert "--abort-on-objective" in commands[0]


@pytest.mark.slow
def test_a_run_that_leaves_something_broken_is_kept(
    cloud: Deployment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A part that stays broken gives the commands to run, the evidence, the `run:` line and status 2."""
    run = RunDir.create(cloud, runs=tmp_path / "runs", name="load")

    def follow(command: list[str], begun: Callable[[str], None]) -> EndedLoad:
        begun(str(run.path))
        until((tmp_path / "drained").exists, 10)
        return EndedLoad(0, str(run.path))

    monkeypatch.setattr(run_command, "follow", follow)
    file = str(tmp_path / "cloud.toml")
    words = ["run", "--deployment", file, "--fault", "a:drain@0s+60s", "--yes-break-it"]
    monkeypatch.setattr(sys, "argv", ["calorimeter", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    printed = capfd.readouterr()
    assert ended.value.code == 2
    assert "NOT HEALED: cloud is still broken" in printed.err
    assert printed.out.splitlines()[-1] == f"run: {run.path}"
    assert kept(run) == ["drain"]
    with pytest.raises(Unhealed), FaultInjector(cloud):
        pass
    assert "echo no way; exit 3" in capfd.readouterr().err
