"""The deployment's own command that says what its parts use, recorded beside a load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calorimeter.gates.evidence.load_recorder import recorded_usage

PRINTS = """echo '{"t_ns": 1, "processes": []}'; cat >/dev/null; echo '{"t_ns": 2, "processes": []}'"""


def test_lines_are_recorded_until_the_load_ends(tmp_path: Path) -> None:
    """The command's output is kept, including what it prints when its standard input is closed."""
    with recorded_usage(PRINTS, tmp_path / "processes.jsonl"):
        pass
    lines = (tmp_path / "processes.jsonl").read_text().splitlines()
    assert [json.loads(line)["t_ns"] for line in lines] == [1, 2]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("echo password = hunter2 >&2; exit 3", "usage: status 3, password = ********"),
        ("exec no-such-program-here", "usage: status 127, "),
    ],
)
def test_a_command_that_fails_leaves_a_line_with_the_reason(tmp_path: Path, command: str, why: str) -> None:
    """The reason is recorded, without a password."""
    with recorded_usage(command, tmp_path / "processes.jsonl"):
        pass
    (line,) = map(json.loads, (tmp_path / "processes.jsonl").read_text().splitlines())
    assert line["unavailable"].startswith(why)


def test_a_deployment_without_the_command_records_nothing(tmp_path: Path) -> None:
    """Without a command there is no file."""
    with recorded_usage(None, tmp_path / "processes.jsonl"):
        pass
    assert not (tmp_path / "processes.jsonl").exists()
