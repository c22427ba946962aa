"""What the soaks share: the command line, a temporary lab, what it leaves, the verdicts of some gates."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core import paths, verdict
from calorimeter.core.verdict import Verdicts
from calorimeter.lab import part_faults, processes
from calorimeter.lab.hosts import network


def calorimeter(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def lab(given: str | None, name: str, *shape: str) -> Iterator[str]:
    """The name of a lab: the `given` one, which is left up, or one that is brought up and taken down.

    Exits with status 2 if the lab does not come up.
    """
    if given:
        yield given
        return
    up = calorimeter("lab", "up", "--name", name, *shape)
    if up.returncode != 0:  # a failed `lab up` leaves nothing behind
        print(up.stderr, file=sys.stderr)
        sys.exit(2)
    try:
        yield name
    finally:
        calorimeter("lab", "down", "--name", name)


def judged(name: str, gates: str, *strength: str, keep: Path | None = None) -> Verdicts:
    """The verdicts of one run of some gates on a lab; of all, if `gates` is empty.

    With `keep`, the run folder goes there.
    """
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        file = paths.lab(name) / "deployment.toml"
        chosen = ("--gates", gates) if gates else ()
        done = calorimeter("verify", str(file), *chosen, "--runs", runs, *strength)
        found = list(Path(runs).glob("*/verdicts.json"))
        assert found, done.stdout + done.stderr
        if keep is not None:
            shutil.copytree(found[0].parent, keep / found[0].parent.name)
        return verdict.read(found[0])


def left(folder: Path) -> list[str]:
    """What a lab left behind: processes, namespaces, nftables, files."""
    found: list[tuple[str, Callable[[], Sequence[object]]]] = [
        ("process", lambda: processes.running(folder)),
        ("namespace", lambda: network.existing(folder.name)),
        ("table", lambda: part_faults.tables(folder.name)),
        ("file", lambda: [path for path in (folder, folder.with_suffix(".lock")) if path.exists()]),
        ("file", lambda: list(Path("/dev/shm").glob(f"*{folder.name}*"))),
    ]
    return [f"left: {what} {each}" for what, look in found for each in look()]
