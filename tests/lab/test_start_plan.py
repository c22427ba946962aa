"""The order in which the parts of a lab start, for labs of every shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from calorimeter.lab import start_plan
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs
from calorimeter.lab.start_plan import PartStart

SHAPES: tuple[dict[str, Any], ...] = (
    {},
    {"rest": 1, "cfn": 4, "engines": 1, "workers": 2},
    {"engines": 5, "engines_per_host": 2, "heat": "27"},
    {"brokers": 3},
    {"proxies": 2},
    {"sample": "guide"},
)


def plan(shape: dict[str, Any]) -> dict[str, PartStart]:
    """The plan of a lab of that shape; no program is run for it."""
    return start_plan.plan(Lab(Path("/none"), LabTopology(name="x", **shape), {}, cast(Programs, None)))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_part_starts_after_those_it_needs(shape: dict[str, Any]) -> None:
    """The plan has exactly the lab's parts, and no part waits for itself, over whatever way."""
    waiting = plan(shape)
    assert set(waiting) == set(LabTopology(name="x", **shape).parts)
    served: set[str] = set()
    while waiting:
        able = [part for part, start in waiting.items() if served.issuperset(start.needs)]
        assert able, f"nothing can start: {waiting}"
        served.update(able)
        for part in able:
            del waiting[part]


def test_engines_wait_for_a_cluster_and_not_for_a_single_broker() -> None:
    """A single broker serves before an engine has loaded its plugins."""
    assert not [part for part in plan({})["engine-1"].needs if part.startswith("rabbitmq")]
    assert {"rabbitmq-1", "rabbitmq-2", "rabbitmq-3"} < set(plan({"brokers": 3})["engine-1"].needs)


def test_nodes_of_a_cluster_do_not_wait_for_their_turn() -> None:
    """Each node waits for the others: however few cores there are, all must start."""
    assert not any(plan({"brokers": 5})[f"rabbitmq-{number}"].in_turn for number in range(1, 6))


def test_apis_start_at_once_and_the_proxy_after_them() -> None:
    """An API connects to all others with its first request."""
    starts = plan({"rest": 1, "cfn": 1})
    assert starts["rest-1"].needs == starts["cfn-1"].needs == ()
    assert starts["proxy"].needs == ("rest-1", "cfn-1")
