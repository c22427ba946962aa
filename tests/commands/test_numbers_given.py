"""Numbers at the command line and in files: one line with the valid range, status 2, nothing started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calorimeter import cli
from calorimeter.core.errors import InputError
from calorimeter.core.host import machine
from calorimeter.lab import lab_state
from calorimeter.load.run import load_processes

DEPLOYMENT = """
name = "d"
[rest]
url = "http://127.0.0.1:9/v1"
proxy_section = "a"
[[rest.backends]]
name = "r"
address = "127.0.0.1:9"
"""


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that starts is an error; the deployment file and the state are of this test."""

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(machine, "processors", lambda: 2)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("deployment.toml").write_text(DEPLOYMENT)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "run --processes 999999999",
            "'999999999' given; valid: a whole number from 1 to 8 (this machine has 2",
        ),
        ("run --processes ²", "'²' given; valid: a whole number from 1 to 8"),
        (
            "run --processes 9 --allow-processes 8",
            "'9' given; valid: a whole number from 1 to 8 (--allow-pro",
        ),
        # Root has no limit on processes: the memory that they need is too much.
        ("run --allow-processes 100000 --processes 100000", "--processes: 100000 "),
        ("run --users 1000001", "'1000001' given; valid: a whole number from 1 to 1000000"),
        ("run --rate nan", "'nan' given; valid: a number from 0.000001 to 1000000"),
        (
            "run --duration 9999999h",
            "'9999999h' given; valid: a number of seconds from 0.1 to 2147483.647 (24 days",
        ),
        ("run --repeat 1001", "'1001' given; valid: a whole number from 1 to 1000"),
        (
            "run --repeat 1000 --duration 20h",
            "--repeat: 1000 runs of each side would last 72000000 s in all",
        ),
        (
            "scale --engines 1,2,4 --repeat 1000 --duration 9h",
            "--repeat: the loads of all sizes would last 9",
        ),
        ("scale --engines 1,²", "'1,²' given; valid: a whole number from 1 to 64"),
        ("capacity first-mix --start 10 --most 5", "--start: 10 given with --most 5"),
        ("watch runs --every 0", "'0' given; valid: a number of seconds from 0.01 to 3600"),
        ("clean runs --within 0s", "'0s' given; valid: a number of seconds from 0.1 to 86400"),
        ("verify --sources 1_000", "'1_000' given; valid: a whole number from 1 to 65536"),
        (
            "verify --sources 65536 --visits 16",
            "--visits: 65536 --sources with 16 --visits each given; valid: a whole number from",
        ),
        (
            "fault --fault a:kill@5s+99999999h",
            "'99999999h' in 'a:kill@5s+99999999h' given; valid: a number of",
        ),
        ("fault --fault a:kill@5s+²s", "'a:kill@5s+²s' given; valid: PART:FAULT@START+LENGTH"),
        ("lab up --weights 1,²", "'1,²' given; valid: a whole number from 0 to 256 (HAProxy's weights)"),
        ("lab up --rest-port 65536", "'65536' given; valid: a whole number from 1 to 65535"),
        (f"lab logs --lines {'9' * 5000}", "characters) given; valid: a whole number from 1 to 1000000"),
        (f"report {'x' * 300}", "characters): cannot be used (File name too long)"),
    ],
)
def test_a_number_out_of_bounds_is_one_line_and_status_2(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line says what was given and what is valid, and nothing was started."""
    monkeypatch.setattr(sys, "argv", ["calorimeter", *words.split()])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in shown and shown.count("\n") == 1, shown
    assert list(Path().iterdir()) == [Path("deployment.toml")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"[expect]\nmax_detection_s = {'9' * 400}", "expect.max_detection_s: 999"),
        (f"[expect]\nmax_detection_s = {'9' * 5000}", "is not valid TOML: Exceeds the limit"),
        (f"[expect]\nserver_maxconn = 0x{'f' * 5000}", "is not valid TOML: Exceeds the limit"),
        ("[expect]\nmax_detection_s = -0.0", "-0.0 given; valid: a number of seconds from 0.000001"),
        (
            "[expect]\nweights = { r = 257 }",
            "257 given; valid: a whole number from 0 to 256 (HAProxy's weights)",
        ),
        (f"x = {'[' * 5000}", "is nested too deeply"),
        (f"x = {'[' * 300}{']' * 300}", "is nested too deeply"),
        ('[[engines]]\nhost = "e"\nworkers = 1001', "1001 given; valid: a whole number from 1 to 1000"),
        (f'[waive]\nA1 = "x"\n[versions]\n{"a" * 900} = 1', "given; input should be a valid string"),
    ],
)
def test_a_number_in_a_file_is_one_line_and_status_2(
    line: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also integers that no program can hold, and files that would end the reader."""
    Path("deployment.toml").write_text(f"{DEPLOYMENT}{line}\n")
    monkeypatch.setattr(sys, "argv", ["calorimeter", "doctor"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    shown = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in shown and shown.count("\n") == 1 and len(shown) < 1500, shown


def test_a_lab_that_the_machine_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 engines of 64 workers are 4,160 processes: more than this machine has memory for."""
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * 2**30)
    shape = lab_state.LabTopology(name="x", engines=64, workers=64)
    with pytest.raises(
        InputError, match="4164 processes of Heat need 666240 MiB of memory, .* room for 51;"
    ):
        lab_state.check_room(shape.processes, "lab up")
    lab_state.check_room(lab_state.LabTopology(name="x").processes, "lab up")


def test_processes_are_counted_before_the_first_is_started() -> None:
    """The bound is the machine's: four for each processor that may be used."""
    assert load_processes.processes().most == 8
