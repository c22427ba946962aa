"""`locust -f loadtests/locustfile.py --deployment FILE --scenario NAME`: the rest is Locust as usual."""

from __future__ import annotations

from typing import Any

from locust import events

from calorimeter.load.run import locust_hooks
from calorimeter.load.run.users import CfnUser, RestUser

__all__ = ["CfnUser", "RestUser"]

locust_hooks.guard_connections()


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_arguments(parser: Any, **_: Any) -> None:
    locust_hooks.add_arguments(parser)


@events.init.add_listener  # type: ignore[untyped-decorator]
def _install(environment: Any, **_: Any) -> None:
    locust_hooks.install(environment)
