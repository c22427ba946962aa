"""Labs with a cluster of three brokers, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from tests.conftest import lab_command
from tests.gates import in_process

CALLS, STACKS = 90, 10
SHAPE = ("--rest", "2", "--cfn", "1", "--engines", "3", "--brokers", "3", "--rpc-timeout", "20")


@contextmanager
def cluster_lab(messaging: str, *more: str) -> Iterator[Deployment]:
    """A lab with three brokers."""
    name = f"test-{os.getpid()}-{messaging[0]}"
    up = lab_command("up", "--name", name, *SHAPE, "--messaging", messaging, *more)
    if up.returncode != 0:
        pytest.fail(f"the lab did not come up:\n{up.stderr}", pytrace=False)
    try:
        yield deployments.read(paths.lab(name) / "deployment.toml")
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr


def take_turns(lab: Deployment, runs: Path) -> None:
    """E1 to E4 are green: exact rotation and equal shares."""
    found = in_process.verified(lab.path, "E1,E2,E3,E4", runs, calls=CALLS, stacks=STACKS)
    assert {gate: verdict.judgement.why for gate, verdict in found.items() if not verdict.acceptable} == {}
    assert found["E2"].judgement.figures["consumers"] == 3
