"""A lab with a cluster of three brokers and recommended messaging: its faults, and that nothing is left."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.lab import broker_faults, lab_state, part_faults, processes
from calorimeter.lab.daemons import broker_queries, rabbitmq
from tests.conftest import lab_command
from tests.lab.stack_walks import cfn_walk, listeners, nothing_left, rest_walk

pytestmark = pytest.mark.lab

NODES = ("rabbitmq-1", "rabbitmq-2", "rabbitmq-3")

needs_root = pytest.mark.skipif(not part_faults.can_drop(), reason="dropping packets needs root")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Deployment]:
    """1 REST, 1 CFN and 2 engines on one host, with three brokers."""
    name = f"test-{os.getpid()}-b"
    shape = ("--rest", "1", "--cfn", "1", "--engines", "2", "--engines-per-host", "2")
    up = lab_command("up", "--name", name, *shape, "--brokers", "3", "--messaging", "recommended")
    if up.returncode != 0:
        pytest.fail(f"the lab did not come up:\n{up.stderr}", pytrace=False)
    folder = paths.lab(name)
    reserved = lab_state.read(folder).ports
    try:
        yield deployments.read(folder / "deployment.toml")
    finally:
        down = lab_command("down", "--name", name)
    assert down.returncode == 0, down.stderr
    nothing_left(name, reserved)
    assert part_faults.tables(name) == []
    assert list(Path("/dev/shm").glob(f"calorimeter.{name}.*")) == []


def act(lab: Deployment, part: str, action: str) -> None:
    """Do something to a part."""
    done = lab_command("part", "--name", lab.name, part, action)
    assert done.returncode == 0, done.stderr


def serves(lab: Deployment) -> None:
    """Stacks are made and deleted through both APIs."""
    rest_walk(lab)
    cfn_walk(lab)


def test_a_cluster_serves_with_recommended_messaging(cluster: Deployment) -> None:
    """All nodes are in the deployment file; queues are quorum queues and streams, and none is shared."""
    assert cluster.broker is not None
    assert (len(cluster.broker.amqp), len(cluster.broker.management)) == (3, 3)
    assert tuple(part.name for part in cluster.parts if part.kind == "broker") == NODES
    serves(cluster)
    opened = lab_state.open_lab(cluster.name)
    queues = broker_queries.ask(opened, "queues?columns=name,type")
    assert {each["type"] for each in queues if "_fanout" in each["name"]} == {"stream"}
    assert {each["type"] for each in queues if "_fanout" not in each["name"]} == {"quorum"}
    # Each API has a counter, and so reply queues, of its own; an engine only once it calls another one.
    counters = {path.name for path in Path("/dev/shm").glob(f"calorimeter.{cluster.name}.*")}
    made = {name.rpartition(".")[2] for name in counters}
    assert made >= {"rest-1_heat-api_qmanager", "cfn-1_heat-api-cfn_qmanager"}
    assert {address.partition(".")[0] for _, address, _ in listeners(cluster.path.parent)} <= {"127", "::1"}


def test_a_killed_node_costs_no_call(cluster: Deployment) -> None:
    """Stacks are made while a node is gone; started again, it is in the cluster."""
    act(cluster, NODES[1], "kill")
    try:
        serves(cluster)
    finally:
        act(cluster, NODES[1], "start")
    assert broker_faults.is_whole(lab_state.open_lab(cluster.name))


def test_a_frozen_node_is_given_up_and_taken_back(cluster: Deployment) -> None:
    """The others answer again after net_ticktime; thawed, it is in one cluster with them, and serves.

    Until then calls of a process that is connected to it wait for an answer: its connection is not closed.
    """
    opened = lab_state.open_lab(cluster.name)
    act(cluster, NODES[0], "freeze")
    try:
        until(lambda: _seen(opened, NODES[2]) == {NODES[1], NODES[2]}, 60)
    finally:
        act(cluster, NODES[0], "thaw")
    assert broker_faults.is_whole(opened)
    serves(cluster)


@needs_root
def test_a_partitioned_node_loses_the_others_and_rejoins(cluster: Deployment) -> None:
    """The majority goes on; a node that is alone pauses; rejoined, all are one cluster again."""
    opened = lab_state.open_lab(cluster.name)
    (part,) = (part for part in cluster.parts if part.name == NODES[2])
    assert set(part.faults) == {"partitioned"}
    act(cluster, NODES[2], "partitioned")
    try:
        until(lambda: _seen(opened, NODES[0]) == {NODES[0], NODES[1]}, 60)
        until(lambda: _seen(opened, NODES[2]) is None, 60)  # pause_minority
        assert NODES[2] in rabbitmq.running(opened)
        serves(cluster)
    finally:
        act(cluster, NODES[2], "rejoined")
        act(cluster, NODES[2], "rejoined")
    assert broker_faults.is_whole(opened)
    serves(cluster)


def test_a_part_that_is_no_node_of_a_cluster_is_refused(cluster: Deployment) -> None:
    """One line says what is valid."""
    done = lab_command("part", "--name", cluster.name, "rest-1", "partitioned")
    assert done.returncode == 2
    assert "rest-1: does not support 'partitioned'; valid: a node of a cluster of brokers" in done.stderr


def test_one_epmd_outlives_its_nodes(cluster: Deployment) -> None:
    """The nodes of a lab share an epmd, which no node's end takes down."""
    assert len(processes.running(cluster.path.parent, "epmd")) == 1
    assert cluster.broker is not None
    for url in cluster.broker.management:
        assert requests.get(f"{url}/api/overview", timeout=10).status_code == 401


def _seen(opened: lab_state.Lab, part: str) -> set[str] | None:
    seen = broker_queries.seen_by(opened, part)
    return None if seen is None else set(seen.running)
