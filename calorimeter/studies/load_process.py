"""One load of a study: `calorimeter run` in a process of its own, and its run folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from calorimeter.core.errors import InputError


def load(words: Sequence[str]) -> Path:
    """Run `calorimeter run` with these words, its progress on stderr; its run folder.

    Raises `InputError` if it recorded nothing or failed, KeyboardInterrupt if it was interrupted.
    """
    command = [sys.executable, "-m", "calorimeter", "run", *words]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as running:
        try:
            output, _ = running.communicate()
        except KeyboardInterrupt:
            running.wait()  # the terminal interrupted it, too: it ends in order
            raise
    last = output.strip().splitlines()[-1] if output.strip() else ""
    if running.returncode == 130:
        raise KeyboardInterrupt
    if running.returncode != 0 or not last.startswith("run: "):
        raise InputError(f"calorimeter run {' '.join(words)}", f"ended with status {running.returncode}")
    return Path(last.removeprefix("run: "))


def words_of(
    scenario: str,
    deployment: Path,
    runs: Path,
    *,
    users: int | None = None,
    rate_per_s: float | None = None,
    duration_s: float | None = None,
) -> list[str]:
    """The words of `calorimeter run` for one load."""
    words = [scenario, "--deployment", str(deployment), "--runs", str(runs)]
    words += ["--users", str(users)] if users is not None else []
    words += ["--rate", repr(rate_per_s)] if rate_per_s is not None else []
    words += ["--duration", f"{duration_s!r}s"] if duration_s is not None else []
    return words


def end_orphans(runs: Path) -> int:
    """Kill loads that still record in a folder, with their processes, and return how many there were.

    They are those of a study that was itself killed: the caller sees to it that no other one records there.
    """
    found = [process for process in psutil.process_iter() if _records_in(process, runs.resolve())]
    for process in found:
        with suppress(psutil.Error):
            for each in (process, *process.children(recursive=True)):
                each.kill()
    psutil.wait_procs(found, timeout=10)
    return len(found)


def _records_in(process: psutil.Process, runs: Path) -> bool:
    """Whether a process is a `calorimeter run` whose run folders are made in this folder."""
    try:
        words = process.cmdline()
        if words[words.index("-m") + 1 :][:2] != ["calorimeter", "run"]:
            return False
        given = words[words.index("--runs") + 1]
        return (Path(process.cwd()) / given).resolve() == runs
    except (psutil.Error, ValueError, IndexError, OSError):
        return False
