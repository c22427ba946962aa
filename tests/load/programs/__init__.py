"""Programs that tests run in processes of their own, because they patch, fork or kill the interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.places import CLONE


def command(name: str, *words: str) -> list[str]:
    """The command that runs a program of this folder; its working directory must be the clone."""
    return [sys.executable, "-m", f"tests.load.programs.{name}", *words]


def result_of(name: str, *words: str) -> Any:
    """Run a program of this folder; the last line of its output is its result, as JSON."""
    done = subprocess.run(
        command(name, *words), cwd=CLONE, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
