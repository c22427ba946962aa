"""Faults beside a load: refused beforehand, carried out, kept in the run."""

import json
import time
from pathlib import Path

import pytest

from calorimeter.deployment import Deployment, read
from calorimeter.errors import InputError
from calorimeter.faults.schedule import parse
from calorimeter.rundir import RunDir
from loadtests.breaking import Breaking

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
[consent]
level = "invasive"
"""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment that may be broken, with a state folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "cloud.toml").write_text(FILE.format(tmp_path))
    return read(tmp_path / "cloud.toml")


def test_what_is_no_lab_is_not_broken_without_saying_so(cloud: Deployment) -> None:
    """A load with faults on anything but a lab wants --yes-break-it; a load without any does not."""
    with pytest.raises(InputError, match="--yes-break-it"):
        Breaking.of(cloud, [parse("a:kill@0s+1s")], yes_break_it=False)
    Breaking.of(cloud, [], yes_break_it=False)


def test_a_fault_is_healed_with_the_end_of_the_load_and_kept(cloud: Deployment, tmp_path: Path) -> None:
    """A load that ends before its fault does: healed at once, and the run says what was broken when."""
    breaking = Breaking.of(cloud, [parse("a:kill@0s+60s")], yes_break_it=True)
    with breaking:
        breaking.begin()
        deadline = time.monotonic() + 10
        while not (tmp_path / "broken").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert (tmp_path / "broken").exists()
    assert not (tmp_path / "broken").exists()
    run = RunDir.create(cloud, runs=tmp_path / "runs", name="load")
    breaking.keep(run)
    (kept,) = json.loads((run.path / "evidence" / "faults.json").read_text())["faults"]
    assert kept["fault"] == {"part": "a", "fault": "kill", "at_s": 0.0, "for_s": 60.0}
    assert kept["began_ns"] <= kept["ended_ns"] <= kept["healed_ns"]
    assert breaking.problem is None


def test_a_fault_that_cannot_be_brought_about_is_said(cloud: Deployment) -> None:
    """A command that fails makes the run a failed one."""
    breaking = Breaking.of(cloud, [parse("a:freeze@0s+1s")], yes_break_it=True)
    with breaking:
        breaking.begin()
        deadline = time.monotonic() + 10
        while breaking.problem is None and time.monotonic() < deadline:
            time.sleep(0.02)
    assert "ended with status 7: cannot" in str(breaking.problem)
