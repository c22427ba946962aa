"""Rounds of visits under load."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from calorimeter.gates.affinity import visits_under_load
from calorimeter.gates.clients.attribution import Attributed


def test_sessions_of_all_rounds_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that went to another server in a later round was on both."""
    rounds = iter(
        [
            {"127.16.0.1": {"a": 1}},
            {"127.16.0.1": {"b": 1}, "127.16.0.2": {"b": 1}},
            {"127.16.0.1": {"a": 1}},
        ]
    )
    monkeypatch.setattr(visits_under_load, "by_sessions", lambda *_: Attributed((), (), next(rounds)))
    monkeypatch.setattr(visits_under_load.proxy_polling, "ended", lambda *_: 0)
    monkeypatch.setattr(visits_under_load, "PAUSE_S", 0.0)
    quiet: Any = [SimpleNamespace(api="rest", section="r", visits=())]
    context: Any = SimpleNamespace(deployment=SimpleNamespace(tls=None), api=lambda _: None)
    way: Any = SimpleNamespace(log=None, stats=())
    load: Any = SimpleNamespace(running=True)
    _, _, told = visits_under_load._rounds(context, way, quiet, load)["rest"]
    found = cast("Attributed", told).clients
    assert found == {"127.16.0.1": {"a": 2, "b": 1}, "127.16.0.2": {"b": 1}}
