"""The deployment's own command that says what its parts use, recorded beside a load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calorimeter.gates.evidence.watch import recorded_usage

PRINTS = """echo '{"t_ns": 1, "processes": []}'; cat >/dev/null; echo '{"t_ns": 2, "processes": []}'"""


def test_lines_are_recorded_until_the_load_ends(tmp_path: Path) -> None:
    """What the command prints is kept, also what it prints when its standard input is closed."""
    with recorded_usage(PRINTS, tmp_path / "processes.jsonl"):
        pass
    assert [
        json.loads(line)["t_ns"] for line in (tmp_path / "processes.jsonl").read_text().splitlines()
    ] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo password = hunter2 >&2; exit 3", "usage: status 3, password = ********"),
        ("exec no-such-program-here", "usage: status 127, "),
    ],
)
def test_a_command_that_fails_is_a_gap_that_says_so(tmp_path: Path, command: str, said: str) -> None:
    """Why there are no figures is kept, without a password."""
    with recorded_usage(command, tmp_path / "processes.jsonl"):
        pass
    (look,) = map(json.loads, (tmp_path / "processes.jsonl").read_text().splitlines())
    assert look["unavailable"].startswith(said)


def test_a_deployment_without_the_command_records_nothing(tmp_path: Path) -> None:
    """No command, no file: the page says what is missing."""
    with recorded_usage(None, tmp_path / "processes.jsonl"):
        pass
    assert not (tmp_path / "processes.jsonl").exists()
