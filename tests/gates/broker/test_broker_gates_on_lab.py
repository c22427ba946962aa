"""Gates B, and tracing, on a lab with a cluster of three brokers and quorum queues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome
from calorimeter.core.waiting import poll
from calorimeter.gates.evidence.tracing import restore, tracing
from calorimeter.gates.evidence.tracing_guardian import TracingOrder
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.conftest import lab_command
from tests.gates import in_process
from tests.gates.broker.cluster_labs import CALLS, cluster_lab, take_turns

pytestmark = pytest.mark.lab

USER = Path(__file__).parents[1] / "evidence" / "tracing_user.py"


@pytest.fixture(scope="module")
def quorum() -> Iterator[Deployment]:
    """Quorum queues."""
    with cluster_lab("quorum") as lab:
        yield lab


def orders(lab: Deployment, state: Path) -> dict[str, TracingOrder]:
    """Node → its order."""
    with tracing(lab, state=state) as traced:
        return dict(traced.nodes)


def switches(found: dict[str, TracingOrder]) -> list[bool]:
    """Whether tracing is on, node by node."""
    with ExitStack() as stack:
        return [stack.enter_context(order.api()).tracing() for order in found.values()]


def act(lab: Deployment, part: str, action: str) -> None:
    """Do something to a part."""
    done = lab_command("part", "--name", lab.name, part, action)
    assert done.returncode == 0, done.stderr


def test_tracing_is_on_at_every_node_and_off_after_kill_9(quorum: Deployment, tmp_path: Path) -> None:
    """The guardian outlives the suite; a node that was killed meanwhile returns with tracing off."""
    found = orders(quorum, tmp_path)
    assert len(found) == 3 and switches(found) == [False] * 3
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(USER), str(quorum.path), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as run:
        assert run.stdout is not None and run.stdout.readline() == b"on\n"
        assert switches(found) == [True] * 3
        act(quorum, "rabbitmq-2", "kill")
        act(quorum, "rabbitmq-2", "start")
        assert switches(found) == [True, False, True]
        os.kill(run.pid, signal.SIGKILL)
    assert poll(lambda: switches(found) == [False] * 3, 30)


def test_a_frozen_node_is_switched_off_when_it_is_back(quorum: Deployment, tmp_path: Path) -> None:
    """It is away when tracing is switched off; the next command finds the claim that is left."""
    found = orders(quorum, tmp_path)
    try:
        with (
            pytest.raises(EvidenceUnavailable, match="gave no answer within 10 s"),
            tracing(quorum, state=tmp_path),
        ):
            act(quorum, "rabbitmq-3", "freeze")
    finally:
        act(quorum, "rabbitmq-3", "thaw")
    left = switches(found)
    assert left[:2] == [False, False]
    assert restore(quorum, state=tmp_path) is left[2]
    assert switches(found) == [False] * 3


def test_engines_on_different_nodes_take_turns(quorum: Deployment, tmp_path: Path) -> None:
    """E2 to E4: exact rotation and equal shares over consumers of three nodes."""
    take_turns(quorum, tmp_path)


@contextmanager
def without_management(lab: Deployment, *names: str) -> Iterator[Path]:
    """A deployment file that does not name the management API of these nodes."""
    assert lab.broker is not None
    text = lab.path.read_text()
    for node in lab.broker.nodes:
        if node.name in names:
            text = text.replace(f'management = "{node.management}"\n', "")
    partial = lab.path.with_name("partial.toml")
    partial.write_text(text)
    try:
        yield partial
    finally:
        partial.unlink()


def names_of(lab: Deployment) -> list[str]:
    """The names of the nodes."""
    assert lab.broker is not None
    return [node.name or "" for node in lab.broker.nodes]


def test_an_untraced_node_leaves_rotation_unknown(quorum: Deployment, tmp_path: Path) -> None:
    """A file that names the management API of one node only: INCONCLUSIVE, and the others are named."""
    with without_management(quorum, *names_of(quorum)[1:]) as partial:
        found = in_process.verified(partial, "E2", tmp_path, calls=CALLS)
    assert found["E2"].judgement.outcome is Outcome.INCONCLUSIVE
    assert "tracing is not on at rabbitmq-" in found["E2"].judgement.why


def test_without_a_management_api_numbers_are_compared(quorum: Deployment, tmp_path: Path) -> None:
    """AMQP alone: as many consumers as described are no proof, and the verdict says what is not known."""
    with without_management(quorum, *names_of(quorum)) as partial:
        found = in_process.verified(partial, "E1", tmp_path)["E1"].judgement
    assert found.outcome is Outcome.INCONCLUSIVE
    assert "3 consumers each, as described, but which processes these are" in found.why


def test_quorum_queues_survive_the_death_of_a_node(quorum: Deployment, tmp_path: Path) -> None:
    """B1. `bin/soak matrix --shape brokers` runs all of B1 to B5, which take minutes each."""
    verdict = in_process.verified(quorum.path, "B1", tmp_path)["B1"].judgement
    assert verdict.outcome is Outcome.PASS, (verdict.why, verdict.counter_examples)
