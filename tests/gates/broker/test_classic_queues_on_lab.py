"""Gates E and B on a lab with three brokers and durable classic queues, each of which has one home."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from tests.gates import in_process
from tests.gates.broker.cluster_labs import cluster_lab, take_turns

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def classic() -> Iterator[Deployment]:
    """Classic queues that nobody can declare again while their home is gone."""
    with cluster_lab("durable") as lab:
        yield lab


def test_engines_on_different_nodes_take_turns(classic: Deployment, tmp_path: Path) -> None:
    """E2 to E4: exact rotation and equal shares over consumers of three nodes."""
    take_turns(classic, tmp_path)


def test_a_classic_queue_dies_with_its_home(classic: Deployment, tmp_path: Path) -> None:
    """B1 is red, and says that the queue had one home."""
    verdict = in_process.verified(classic.path, "B1", tmp_path)["B1"].judgement
    assert verdict.outcome is Outcome.FAIL
    assert "has one home" in verdict.why
