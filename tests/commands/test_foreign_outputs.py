"""Options that name a file to write: a file that is not ours is not replaced, and one that is ours is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.configuration import audit
from calorimeter.commands.report import compare
from calorimeter.commands.verify import verify
from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.baseline import Baseline


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (compare, ["runs/a", "--baseline", "runs/b", "--record"], "is not evidence of gate T2"),
        (verify, ["--junitxml"], "is not JUnit XML"),
        (verify, ["--gates", "S1", "--summary"], "is not a summary of verdicts"),
    ],
)
def test_a_foreign_file_is_refused_before_anything_runs(
    tmp_path: Path, command: object, arguments: list[str], message: str
) -> None:
    """One line says what the file would have to be; it stays as it is."""
    mine = tmp_path / "deployment.toml"
    mine.write_text("name = 'mine'\n")
    done = CliRunner().invoke(command, [*arguments, str(mine)], standalone_mode=False)  # type: ignore[arg-type]
    assert isinstance(done.exception, InputError)
    assert message in str(done.exception)
    assert mine.read_text() == "name = 'mine'\n"


def test_an_audit_replaces_its_own_reports_only(tmp_path: Path) -> None:
    """Not the configuration that it reads, if that is named by mistake."""
    config, report = tmp_path / "haproxy.cfg", tmp_path / "report"
    config.write_text("defaults\n  mode tcp\nlisten heat\n  bind :8004\n  server a 10.0.0.1:8004 check\n")
    before = config.read_bytes()
    for form in ("text", "json", "sarif", "text"):
        CliRunner().invoke(
            audit, [str(config), "--format", form, "-o", str(report)], catch_exceptions=False
        )
        assert report.stat().st_size > 0
    done = CliRunner().invoke(audit, [str(config), "-o", str(config)], standalone_mode=False)
    assert "is not a report of an audit" in str(done.exception)
    assert config.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "refused"),
    [(b"", False), (b"OURS", False), (b"x" * 9000 + b"OURS", False), (b"x" * 9000, True), (b"\xff", True)],
)
def test_a_file_is_ours_by_its_beginning_or_its_end(tmp_path: Path, content: bytes, refused: bool) -> None:
    """An empty file, as mktemp makes, may be replaced; so may a device be written to."""
    path = tmp_path / "file"
    path.write_bytes(content)
    if refused:
        with pytest.raises(InputError, match="exists already, and is not a thing of ours"):
            files.refuse_other(path, re.compile(b"OURS"), "a thing of ours")
    else:
        files.refuse_other(path, re.compile(b"OURS"), "a thing of ours")
    for other in (Path("/dev/null"), tmp_path / "none"):
        files.refuse_other(other, re.compile(b"OURS"), "a thing of ours")


def test_the_evidence_of_a_comparison_is_known_by_its_beginning() -> None:
    """What `compare --record` writes may be written again."""
    kept = Baseline(left=("a",), right=("b",), unit="run", measures=(), failed=(0, 0)).model_dump_json()
    assert kept.startswith('{"left":[')
