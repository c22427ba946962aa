"""Standard output and error: foreign text is shown, and a stream that is gone is no crash."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from rich.table import Table

from calorimeter import cli
from calorimeter.core import terminal
from tests.places import CLONE

EVIL = "a\x1b[31m\x1b]0;t\x07\x9b2J\rb\u202e\ud800[red][/x]"
SHOWN = r"a\u001b[31m\u001b]0;t\u0007\u009b2J\u000db\u202e\ud800[red][/x]"


class OnTerminal(io.TextIOWrapper):
    """A stream in memory that says it is a terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class BytesOfTerminal(io.BytesIO):
    """The bytes below such a stream."""

    def isatty(self) -> bool:
        """They are those of a terminal."""
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> io.BytesIO:
    """What is written from now on to standard output and to standard error, which are a terminal."""
    written = BytesOfTerminal()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, OnTerminal(written, "utf-8", write_through=True))
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return written


def _print(text: str) -> None:
    print(text)


def _log(text: str) -> None:
    logging.StreamHandler().handle(logging.LogRecord("x", 30, "", 1, text, (), None))


def _table(text: str) -> None:
    table = Table(box=None)
    table.add_column(text, no_wrap=True)
    table.add_row(text)
    terminal.console(width=400).print(table)


def _warn_in_a_status(text: str) -> None:
    with terminal.status("reading"):
        print(text, file=sys.stderr)


@pytest.mark.parametrize(
    "write", [_print, click.echo, _log, terminal.styled, terminal.rewritten, _table, _warn_in_a_status]
)
def test_whatever_prints_shows_escapes(monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    """None of the ways to print can forget it, and no text is taken for markup of rich."""
    out = on_terminal(monkeypatch)
    with terminal.guarded():
        write(EVIL)
    text = out.getvalue().decode()
    assert "\x1b[31m" not in text
    assert not set("\x07\x9b\u202e") & set(text)
    assert "[red][/x]" in text
    assert r"\u001b[31m" in text


def test_styles_of_the_suite_reach_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours and rewritten lines are sent as they are, around text that is shown."""
    out = on_terminal(monkeypatch)
    with terminal.guarded():
        terminal.styled(EVIL, fg="red")
        terminal.rewritten("step")
    assert out.getvalue().decode() == f"\x1b[31m{SHOWN}\x1b[0m\n\r\x1b[Kstep"


@pytest.mark.parametrize("error", [True, False])
def test_the_streams_are_as_before_afterwards(capsys: pytest.CaptureFixture[str], error: bool) -> None:
    """A command that ends with an exit status leaves them; text that cannot be encoded is shown."""
    before = sys.stdout, sys.stderr
    with pytest.raises(SystemExit), terminal.guarded():
        print("\ud800", file=sys.stderr if error else sys.stdout)
        sys.exit(1)
    assert (sys.stdout, sys.stderr) == before
    found = capsys.readouterr()
    assert (found.err if error else found.out) == "\\ud800\n"


def calorimeter(*arguments: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run the command line with another standard output."""
    command = [sys.executable, "-m", "calorimeter", *arguments]
    return subprocess.run(command, check=False, timeout=60, **how)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("gates",), ("gates", "S1"), ("gates", "--json"), ("--help",)])
def test_a_full_disk_is_one_line(arguments: tuple[str, ...]) -> None:
    """The exit status is 2: the output was asked for, and is not there."""
    with Path("/dev/full").open("wb") as full:
        done = calorimeter(*arguments, stdout=full, stderr=subprocess.PIPE)
    line = b"calorimeter: standard output: cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (2, line)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "status"), [(("gates", "--json"), 0), (("gates", "nonesuch"), 2)])
def test_a_reader_that_has_gone_changes_nothing(arguments: tuple[str, ...], status: int) -> None:
    """`calorimeter gates | head -1`: no traceback, and the exit status is that of the command."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = calorimeter(*arguments, stdout=gone, stderr=subprocess.PIPE)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert b"Broken" not in done.stderr


@pytest.mark.slow
def test_closed_streams_are_no_crash() -> None:
    """`>&- 2>&-`: the exit status is that of the command."""
    for arguments, status in (("gates S1", 0), ("gates nonesuch", 2)):
        command = f"{sys.executable} -m calorimeter {arguments} >&- 2>&-"
        assert subprocess.run(["sh", "-c", command], check=False, timeout=60).returncode == status


NAME = os.fsdecode(b"no\x1b[31m\x1b]0;t\x07\xc2\x9b2J\xe2\x80\xae\xff/such")
COMMANDS = (
    *("gates", "report", "compare", "describe --proxy", "audit", "generate topology.toml -o", "verify"),
    *("doctor", "run", "balance", "clean", "trace", "capacity", "scale", "fault", "watch", "benchmarks"),
    *("lab logs --name", "lab", ""),
)


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS)
def test_no_command_sends_the_escapes_of_a_name(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Each command with a name full of escapes, on a terminal: exit status 2, and none of them printed."""
    out = on_terminal(monkeypatch)
    monkeypatch.setattr(sys, "argv", ["calorimeter", *words.split(), NAME])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    written = out.getvalue().decode() + capfd.readouterr().err
    assert ended.value.code == 2, written
    assert not any(sign in written for sign in ("\x1b[31m", "\x1b]", "\x07", "\x9b", "\u202e"))
    assert "Traceback" not in written
    assert written.strip()


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_no_locale_is_too_poor_for_a_name(encoding: str) -> None:
    """What the encoding of a terminal lacks is shown by its number, never a UnicodeEncodeError."""
    environment = os.environ | {"LC_ALL": "C", "PYTHONIOENCODING": encoding}
    done = calorimeter("gates", "\u2013\udcff", capture_output=True, env=environment)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"udcff" in done.stderr


def test_control_sequences_are_sent_by_one_module() -> None:
    """What needs a colour or a moved cursor uses this module; `progress` has its own way past pytest."""
    own = {"calorimeter/core/terminal.py", "calorimeter/gates/progress.py"}
    ways = re.compile(r"secho|click\.style\(|rich\.console|std(out|err)\.(write|buffer)|\\033|\\x1b")
    files = (
        path
        for folder in ("calorimeter", "loadtests", "verify")
        for path in CLONE.glob(f"{folder}/**/*.py")
    )
    found = {path.relative_to(CLONE).as_posix() for path in files if ways.search(path.read_text("utf-8"))}
    assert found <= own
