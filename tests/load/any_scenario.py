"""A small scenario as a record, with other values where a test needs them."""

from __future__ import annotations

import json
from typing import Any

from calorimeter.workload.scenario import Scenario


def scenario(**values: Any) -> Scenario:
    """Users who list stacks; a value of None leaves a key out."""
    tree: dict[str, Any] = {
        "name": "any",
        "about": "A test.",
        "users": 1,
        "duration_s": 10,
        "rest": {"template": "tiny.yaml", "mix": {"list": 1}},
        **values,
    }
    return Scenario.model_validate_json(
        json.dumps({key: value for key, value in tree.items() if value is not None})
    )
