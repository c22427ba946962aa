"""The progress of an acceptance run."""

from __future__ import annotations

import os
import pty
import select
import time

import pytest

from calorimeter.core.verdict import passed
from calorimeter.gates.progress import Progress


def run_one_gate(progress: Progress) -> None:
    """One gate, with one phase in it."""
    with progress:
        progress.begins(1, 2, "S1", "Each source stays")
        progress.phase("1000 sources visit")
        progress.ended("S1", passed("they did"))


def test_elsewhere_than_on_a_terminal_each_step_is_a_plain_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In a file or a CI service: a line a step, nothing rewritten, no colour."""
    run_one_gate(Progress())
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines()[:2] == ["[1/2] S1  Each source stays", "[1/2] S1: 1000 sources visit"]
    assert err.splitlines()[2].startswith("[1/2] S1: PASS")
    assert "\033" not in err


def test_on_a_terminal_one_line_is_rewritten_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the verdicts stay, each in its colour."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    controlling, terminal = pty.openpty()
    kept = os.dup(2)
    os.dup2(terminal, 2)
    try:
        run_one_gate(Progress())
    finally:
        os.dup2(kept, 2)
        os.close(kept)
    text = ""
    while "\n" not in text and select.select([controlling], [], [], 5.0)[0]:
        text += os.read(controlling, 65536).decode()
    os.close(controlling)
    os.close(terminal)
    assert "\r\033[K" in text
    assert "\033[32mPASS" in text
    assert text.count("\n") == 1, text


def test_what_is_quick_is_not_announced(capfd: pytest.CaptureFixture[str]) -> None:
    """A delayed step is not shown if something else is printed before."""
    with Progress() as progress:
        progress.later(0.05, "reading")
        progress.line("done")
        time.sleep(0.1)
    assert capfd.readouterr().err == "done\n"
