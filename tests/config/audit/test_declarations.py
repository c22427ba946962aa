"""The audit finds files whose processes declare one queue differently, as oslo.messaging would."""

from __future__ import annotations

import json
import random
import subprocess
from itertools import combinations
from pathlib import Path

import pytest

from calorimeter.config.audit import HeatFiles, Inputs, Severity
from calorimeter.config.audit.rules.queues import messaging_differs
from calorimeter.config.audit.subject import build
from calorimeter.core.deployment import HeatRole
from tests.places import CLONE

PYTHON = CLONE / ".venv-heat/bin/python"
ORACLE = Path(__file__).with_name("declaration_oracle.py")
CHOICES: dict[str, list[object]] = {
    "rabbit_ha_queues": [True],
    "rabbit_quorum_queue": [True, False],
    "rabbit_transient_quorum_queue": [True, False],
    "rabbit_stream_fanout": [True],
    "rabbit_transient_queues_ttl": [600, 1800],
    "amqp_durable_queues": [True, False],
    "amqp_auto_delete": [True],
    "rabbit_quorum_delivery_limit": [0, 3],
    "rabbit_quorum_max_memory_length": [5],
    "enable_cancel_on_failover": [True],
    "heartbeat_in_pthread": [True],
    "rabbit_qos_prefetch_count": [10, 50],
}
NOT_DECLARED = {"heartbeat_in_pthread", "rabbit_qos_prefetch_count"}


def settings(count: int) -> list[dict[str, object]]:
    """Tables of options: most have few of them."""
    draw = random.Random(15)
    tables = []
    for _ in range(count):
        keys = draw.sample(sorted(CHOICES), draw.randint(0, 4))
        tables.append({key: draw.choice(CHOICES[key]) for key in keys})
    return tables


def errors(tables: dict[str, dict[str, object]], roles: dict[str, HeatRole]) -> int:
    """The number of errors about processes with these options."""
    heat = tuple(
        HeatFiles(
            host,
            (
                (
                    f"{host}.conf",
                    "\n".join(("[oslo_messaging_rabbit]", *(f"{k} = {v}" for k, v in t.items()))),
                ),
            ),
            frozenset({roles[host]}),
        )
        for host, t in tables.items()
    )
    found = messaging_differs.findings(build(Inputs(heat=heat)))
    return sum(finding.severity == Severity.ERROR for finding in found)


@pytest.mark.slow
@pytest.mark.parametrize("count", [45])
def test_an_error_is_a_declaration_that_the_broker_refuses(count: int) -> None:
    """Two processes get an error exactly if oslo.messaging makes them declare one object differently."""
    tables = settings(count)
    asked = [{key: v for key, v in table.items() if key not in NOT_DECLARED} for table in tables]
    done = subprocess.run(
        [PYTHON, ORACLE], input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=60
    )
    kinds: tuple[tuple[HeatRole, HeatRole], ...] = (("engine", "engine"), ("rest", "engine"))
    outcomes = set()
    for (one, ours), (other, theirs) in combinations(zip(tables, json.loads(done.stdout), strict=True), 2):
        for roles in kinds if ours and theirs else ():
            left, right = ours[roles[0]], theirs[roles[1]]
            refused = any(left[name] != right[name] for name in left.keys() & right.keys())
            found = errors({"b": one, "c": other}, dict(zip("bc", roles, strict=True)))
            assert bool(found) == refused, (roles, one, other, left, right)
            outcomes.add(refused)
    assert outcomes == {True, False}
