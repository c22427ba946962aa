"""Removing what a run left: the counts when time is up, or when nothing can be listed."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from calorimeter.load.http.client import Answer
from calorimeter.load.tenants import leftovers

API: Any = SimpleNamespace(
    page=lambda marker, limit: b"stacks",
    call=lambda method, path: f"{method} {path.partition('?')[0]}".encode(),
    delete=lambda stack: f"DELETE {stack.stack_id}".encode(),
)
STACKS = {"stacks": [{"stack_name": name, "id": name} for name in ("cal-r-1", "cal-r-2", "other")]}
HOSTILE = {"stacks": [{"stack_name": "cal-r-1\r\nDELETE /x HTTP/1.1", "id": "a"}]}
NO_STACKS: dict[str, Any] = {"stacks": []}
CONFIGS = {"software_configs": [{"name": "cal-r-3", "id": "c3"}]}
NO_CONFIGS: dict[str, Any] = {"software_configs": []}


class Heat:
    """Heat's answers to each request: a status, or 200 and this body; the last one is repeated."""

    def __init__(self, stacks: list[Any], configs: list[Any], config: int = 204) -> None:
        self.answers = {
            b"stacks": stacks,
            b"GET /software_configs": configs,
            b"GET /software_deployments": [{"software_deployments": []}],
            b"DELETE /software_configs/c3": [config],
        }

    def send(self, request: bytes) -> Answer:
        """The next answer."""
        answers = self.answers.get(request, [204])
        given = answers.pop(0) if len(answers) > 1 else answers[0]
        answer = Answer()
        answer.status = given if isinstance(given, int) else 200
        answer.body = b"" if isinstance(given, int) else json.dumps(given).encode()
        return answer

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("heat", "done"),
    [
        (Heat([STACKS, NO_STACKS], [NO_CONFIGS]), (2, 0)),
        (Heat([STACKS], [NO_CONFIGS]), (2, 2)),
        (Heat([STACKS], [CONFIGS], 500), (2, 3)),
        (Heat([NO_STACKS], [503, CONFIGS]), (0, 0)),
        (Heat([NO_STACKS], [503]), (0, None)),
        (Heat([503], [NO_CONFIGS]), (0, None)),
        (Heat([HOSTILE], [NO_CONFIGS]), (0, None)),
        (Heat([NO_STACKS], [{"software_configs": [{"id": [], "name": {}}]}]), (0, None)),
    ],
    ids=[
        *("all gone", "stacks stay", "a config stays too", "configs the second time", "no configs", "none"),
        *("a name with a request in it", "ids that are none"),
    ],
)
def test_leftovers_are_those_of_the_last_list(
    heat: Any, done: tuple[int, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When time is up, the last list counts; without any list, the number left is unknown."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(leftovers, "now_ns", lambda: int(clock[0] * 1e9))
    monkeypatch.setattr(leftovers, "gevent", SimpleNamespace(sleep=sleep))
    assert leftovers.Cleaner(API, heat).remove("cal-r-", 10 * 10**9) == done
