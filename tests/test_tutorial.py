"""The tutorial is executed: its files are written, its commands are run as a reader types them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import DOCS

BLOCK = re.compile(r"^```(\S+) ?(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TOTAL_S = 400


def blocks() -> list[tuple[str, str, str]]:
    """Language, what stands beside it, and text of each block, in order."""
    return BLOCK.findall((DOCS / "tutorial.md").read_text(encoding="utf-8"))


def script(folder: Path) -> str:
    """Write the tutorial's files, and return its commands as one script that echoes each block."""
    lines = ["set -eu"]
    for number, (language, beside, text) in enumerate(blocks()):
        if language == "python":
            file = folder / beside
            file.parent.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif beside != "skipped":
            lines += [f"echo '=== block {number}'", text]
    return "\n".join(lines)


def test_only_installation_is_skipped() -> None:
    """What the test does not execute is the demo and the way to the new folder."""
    skipped = [text.split()[0] for _, beside, text in blocks() if beside == "skipped"]
    assert skipped == ["bin/demo", "."]


@pytest.fixture
def state() -> Iterator[str]:
    """A state folder with a path that is short enough for the lab's sockets."""
    with tempfile.TemporaryDirectory(prefix="cal-") as folder:
        yield folder


@pytest.mark.lab
def test_the_tutorial_as_a_reader_types_it(tmp_path: Path, state: str) -> None:
    """Each step exits as the text says: H1 and the reader's own gate are red once, for the reason given."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_STATE_HOME": state,
    }
    environment.pop("CALORIMETER_DEPLOYMENT", None)
    try:
        done = subprocess.run(
            ["bash", "-c", script(tmp_path)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=TOTAL_S, check=False,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert re.findall(r"^exit status .*$", done.stdout, re.MULTILINE) == ["exit status 1"] * 2, output
        assert re.search(r"FAIL +H1 ", output), output
        assert "rest-2: no answer" in output
        assert output.count("PASS         X1") == 2, output
    finally:
        command = [sys.executable, "-m", "calorimeter", "lab", "down", "--name", "tutorial"]
        subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
