"""The operations are those of the Heat that is installed: nothing is missing, and nothing is made up."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from typing import Any

import pytest

from calorimeter.load.operations import cfn_operations, operation_table, rest_operations
from tests.places import CLONE

HEAT = CLONE / ".venv-heat/bin/python"
ROUTES = CLONE / "tests/load/programs/heat_routes.py"

pytestmark = pytest.mark.skipif(not HEAT.exists(), reason="Heat is not installed (bin/setup)")


@cache
def heat() -> dict[str, Any]:
    """The routes of the installed Heat, read in Heat's own environment."""
    done = subprocess.run([HEAT, ROUTES], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def spread(method: str, path: str, handler: str) -> set[tuple[str, str, str]]:
    """A route with a choice in its path (`{path:a|b}`), as one route for each."""
    path = path.removeprefix("/{tenant_id}")
    choice = re.search(r"\{path:([a-z_|]+)\}", path)
    paths = [path.replace(choice[0], word) for word in choice[1].split("|")] if choice else [path]
    return {(method, one, handler) for one in paths}


def heat_rest() -> set[tuple[str, str, str]]:
    """The routes of heat-api, one per action, without those that only refuse or list allowed methods."""
    found: set[tuple[str, str, str]] = set()
    for method, path, handler in heat()["rest"]:
        if handler in ("reject", "options"):
            continue
        if handler == "action":
            found |= {(method, path.removeprefix("/{tenant_id}"), name) for name in heat()["actions"]}
        else:
            found |= spread(method, path, handler)
    return found


def ours_rest() -> set[tuple[str, str, str]]:
    """The routes that the operations of the REST API call."""
    return {
        (op.method, op.route, op.handler)
        for op in rest_operations.OPERATIONS
        if op.route and op.api == "rest" and op.name not in rest_operations.NOT_ROUTED
    }


@pytest.mark.slow
def test_every_route_of_heat_api_is_an_operation() -> None:
    """Each method and path that heat-api routes to a controller can be put into a mix."""
    assert sorted(heat_rest() - ours_rest()) == []


@pytest.mark.slow
def test_every_operation_is_a_route_of_heat_api() -> None:
    """Every operation calls a route of heat-api, with the same method of its controller."""
    assert sorted(ours_rest() - heat_rest()) == []


@pytest.mark.slow
def test_every_cfn_action_is_an_operation_and_the_other_way_round() -> None:
    """The actions of heat-api-cfn, by name and handler, are exactly those of the table."""
    ours = {op.handler: op.name for op in cfn_operations.ACTIONS}
    assert ours == heat()["names"]


@pytest.mark.slow
def test_every_other_cfn_route_is_a_signal_or_named_with_its_reason() -> None:
    """Signals are operations; all other routes are in the table of those that are not offered."""
    signals = {(op.method, op.route, op.handler) for op in cfn_operations.OPERATIONS if op.asked_by}
    others = {(m, p, h) for m, p, h in heat()["cfn"] if h not in heat()["names"] or p != "/"}
    unknown = {
        route
        for route in others - signals
        if not any(route[1] == path or route[1].startswith(f"{path}/") or route[1].startswith(f"{path}.")
                   for path in cfn_operations.NOT_OFFERED)
    }  # fmt: skip
    assert signals <= others
    assert unknown == set()


def test_an_operation_is_in_one_mix_or_part_of_others() -> None:
    """Names are unique, and an operation that cannot be in a mix is part of others."""
    tables = (*rest_operations.OPERATIONS, *cfn_operations.OPERATIONS)
    assert len({(op.api, op.name) for op in tables}) == len(tables)
    for op in tables:
        assert (op.perform is None) == (
            op.name not in {**operation_table.mixable("rest"), **operation_table.mixable("cfn")}
        )
