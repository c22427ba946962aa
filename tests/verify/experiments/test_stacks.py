"""Stacks against a Heat that answers as the test says."""

from __future__ import annotations

from typing import Any, cast

import pytest

from verify.checks.calls import HeatCall
from verify.evidence.unavailable import EvidenceUnavailable
from verify.experiments import stacks
from verify.experiments.heat_client import HeatClient


class Client:
    """A Heat that answers every request with one status and one body."""

    def __init__(self, status: int, answer: Any) -> None:
        self.status = status
        self.answer = answer

    def call(self, operation: str, *_: object) -> tuple[HeatCall, Any]:
        """One answer."""
        record = HeatCall(operation=operation, request_id=None, sent_ns=0, done_ns=1, status=self.status)
        return record, self.answer


def left(status: int, answer: Any) -> tuple[str, ...]:
    """What is left after the deletes, as that Heat lists it."""
    return stacks.Stacks(cast("HeatClient", Client(status, answer)), 4).delete_all()


def test_a_list_that_nobody_answers_does_not_say_that_nothing_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Until the deadline every list fails: no evidence; an empty list is some."""
    monkeypatch.setattr(stacks, "REMOVE_S", 0.0)
    monkeypatch.setattr(stacks, "POLL_S", 0.001)
    with pytest.raises(EvidenceUnavailable, match="could not be listed after the deletes"):
        left(503, None)
    assert left(200, {"stacks": []}) == ()
