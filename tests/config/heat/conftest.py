"""The oracle of transport URLs: oslo.messaging and kombu themselves, in one process for all tests."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.places import CLONE

_DEADLINE_S = 60.0
Oracle = Callable[[str, bool], dict[str, Any]]


@pytest.fixture(scope="session")
def messaging() -> Iterator[Oracle]:
    """What Heat's own libraries make of (transport_url, option ssl): the broker, or `fault`."""
    program = Path(__file__).with_name("messaging_oracle.py")
    python = CLONE / ".venv-heat/bin/python"
    assert python.exists(), "the tests need .venv-heat: run bin/setup"
    with subprocess.Popen(
        [python, program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin
        assert stdout

        def ask(url: str, ssl: bool) -> dict[str, Any]:
            stdin.write(json.dumps([url, ssl]) + "\n")
            stdin.flush()
            ready, _, _ = select.select([stdout], [], [], _DEADLINE_S)
            assert ready, "oslo.messaging does not answer"
            answer: dict[str, Any] = json.loads(stdout.readline())
            return answer

        yield ask
        stdin.close()
