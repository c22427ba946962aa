"""One shell command: what it prints, and when it took effect."""

from __future__ import annotations

import time

import pytest

from calorimeter.core.faults.shell_command import CommandFailed, run


def test_now_is_when_the_line_was_read() -> None:
    """The effect is neither at the command's begin nor at its end."""
    done = run("sleep 0.3; echo at_ns=now; sleep 0.3")
    assert done.at_ns is not None
    assert done.at_ns - done.began_ns > 0.25e9
    assert done.ended_ns - done.at_ns > 0.25e9


def test_the_effect_is_between_the_first_moment_and_the_last() -> None:
    """A line of a terminal ends with a carriage return."""
    first = time.time_ns() + 10_000_000
    done = run(f"echo before; sleep 0.1; echo at_ns={first}; sleep 0.2; printf 'at_ns=now\\r\\n'")
    assert done.at_ns == first
    assert done.by_ns is not None
    assert done.by_ns - done.at_ns > 0.2e9


def test_without_a_moment_there_is_none() -> None:
    """Nor from another machine's clock."""
    assert run("echo at_ns=then").at_ns is None
    assert run("echo at_ns=1000000000000000000").at_ns is None


def test_a_failure_has_the_last_line() -> None:
    """Also one that no newline ends, and one on standard error."""
    with pytest.raises(CommandFailed, match="status 3: inactive"):
        run("echo more; printf inactive >&2; exit 3")


def test_a_command_that_does_not_end_is_killed() -> None:
    """Also if it has closed its output, or left a child that has not."""
    for command in ("sleep 60", "exec >&- 2>&-; sleep 60", "sleep 60 & exit"):
        with pytest.raises(CommandFailed, match="did not end within 0.3 s"):
            run(command, within_s=0.3)
