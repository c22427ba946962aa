"""What the soaks share: the command line, a lab for as long as one is needed, verdicts of some gates."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core import paths, verdict
from calorimeter.core.verdict import Verdicts


def calorimeter(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def lab(given: str | None, name: str, *shape: str) -> Iterator[str]:
    """The name of a lab: the one that is given, which is left up, or one that is brought up and taken down.

    Ends the program with status 2 where it does not come up.
    """
    if given:
        yield given
        return
    up = calorimeter("lab", "up", "--name", name, *shape)
    if up.returncode != 0:  # and nothing of it is left, unless it is another's, which is in use
        print(up.stderr, file=sys.stderr)
        sys.exit(2)
    try:
        yield name
    finally:
        calorimeter("lab", "down", "--name", name)


def judged(name: str, gates: str, *strength: str) -> Verdicts:
    """The verdicts of one run of some gates on a lab."""
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        file = paths.lab(name) / "deployment.toml"
        done = calorimeter("verify", str(file), "--gates", gates, "--runs", runs, *strength)
        found = list(Path(runs).glob("*/verdicts.json"))
        assert found, done.stdout + done.stderr
        return verdict.read(found[0])
