"""Prints the routes of heat-api and heat-api-cfn as JSON. Runs in Heat's own environment."""

from __future__ import annotations

import json
from typing import Any

from heat.common import messaging  # isort: skip  # first, because the packages import one another
from heat.api.cfn import v1 as cfn
from heat.api.openstack import v1 as rest
from heat.api.openstack.v1 import actions

messaging.setup("fake:/", optional=True)  # creates RPC clients; nothing is sent


def methods(conditions: dict[str, Any]) -> list[str]:
    """The methods of a route; `*` for any."""
    given = conditions.get("method", ["*"])
    return given.split(",") if isinstance(given, str) else given


def routes(router: Any) -> list[list[str]]:
    """Method, path and handler of each route."""
    return [
        [method, route.routepath, route.defaults["action"]]
        for route in router.map.matchlist
        for method in methods(route.conditions or {})
    ]


found = {
    "rest": routes(rest.API({})),
    "actions": actions.ActionController.ACTIONS,
    "cfn": routes(cfn.API({})),
    "names": cfn.API._actions,
}
print(json.dumps(found))
