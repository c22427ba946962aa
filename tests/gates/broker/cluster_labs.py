"""Labs with a cluster of three brokers, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core.deployment import Deployment
from tests.conftest import temporary_lab
from tests.gates import in_process

CALLS, STACKS = 90, 10
SHAPE = ("--rest", "2", "--cfn", "1", "--engines", "3", "--brokers", "3", "--rpc-timeout", "20")


@contextmanager
def cluster_lab(messaging: str, *more: str) -> Iterator[Deployment]:
    """A lab with three brokers."""
    name = f"test-{os.getpid()}-{messaging[0]}"
    with temporary_lab(name, *SHAPE, "--messaging", messaging, *more) as made:
        yield made


def take_turns(lab: Deployment, runs: Path) -> None:
    """E1 to E4 are green: exact rotation and equal shares."""
    found = in_process.verified(lab.path, "E1,E2,E3,E4", runs, calls=CALLS, stacks=STACKS)
    assert {gate: verdict.judgement.why for gate, verdict in found.items() if not verdict.acceptable} == {}
    assert found["E2"].judgement.figures["consumers"] == 3
