"""Parts of a round of the comparison of releases, on a real lab."""

from __future__ import annotations

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context, Settings
from calorimeter.studies.releases import engines_of_actions

pytestmark = pytest.mark.lab


def test_heat_24_does_an_action_in_one_engine(lab: Deployment) -> None:
    """Before 26 a check, a snapshot and a suspend stay in the engine that got the call."""
    client = HeatClient(Context(lab, Settings()), sources=1)
    found = engines_of_actions.measured(lab, client)
    client.close()
    assert [(each.action, each.engines, each.of, each.outcome) for each in found] == [
        ("check", 1, 3, "CHECK_COMPLETE"),
        ("snapshot", 1, 3, "SNAPSHOT_COMPLETE"),
        ("suspend", 1, 3, "SUSPEND_COMPLETE"),
    ]
    assert not any(each.doubt for each in found)
