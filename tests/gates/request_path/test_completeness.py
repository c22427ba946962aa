"""Literal evidence of the join's completeness."""

from __future__ import annotations

import pytest

from calorimeter.gates.request_path.completeness import JoinCompleteness, join_completeness, why_incomplete
from calorimeter.gates.request_path.path import RequestPath, RequestPaths
from tests.gates.request_path.test_path import API, request


def path(*missing: str, status: int = 200) -> RequestPath:
    """A request with these links missing."""
    return RequestPath(
        request=request(status=status), backend="rest-1", api_process=API, legs=(), missing=missing
    )


def test_requests_without_an_answer_are_not_counted() -> None:
    """They have no request id and cannot be followed."""
    found = join_completeness(RequestPaths(paths=(path(), path("no RPC message", status=0))), proxy=True)
    assert (found.answered, found.whole, found.missing) == (1, 1, {})


@pytest.mark.parametrize(
    ("status", "request_id", "of_proxy"),
    [(503, "", 1), (502, "", 1), (504, "", 1), (503, "req-1", 0), (500, "", 0), (200, "", 0)],
)
def test_requests_that_the_proxy_answered_are_counted_apart(
    status: int, request_id: str, of_proxy: int
) -> None:
    """In `mode http` HAProxy answers 502, 503 and 504 itself; no API had such a request."""
    its = path("no request id in the answer")
    asked = its.request.model_copy(update={"status": status, "request_id": request_id})
    found = join_completeness(RequestPaths(paths=(path(), its.model_copy(update={"request": asked}))))
    assert (found.by_proxy, found.answered, found.whole) == (of_proxy, 2 - of_proxy, 1)


def test_missing_links_are_counted() -> None:
    """Each link is counted separately: a request may lack several."""
    found = join_completeness(RequestPaths(paths=(path(), path("a", "b"), path("b"))), proxy=True)
    assert (found.answered, found.whole, found.missing) == (3, 1, {"a": 1, "b": 2})


def test_proxy_log_without_servers_does_not_make_the_join_incomplete() -> None:
    """The guide's proxy logs no servers; client, API and engine are joined nevertheless."""
    blind = RequestPaths(paths=(path("no line of the proxy's log"),))
    assert join_completeness(blind, proxy=False).whole == 1
    assert join_completeness(blind, proxy=True).whole == 0


def test_999_of_1000_are_enough_and_998_are_not() -> None:
    """The bound is 99.9 %."""
    assert why_incomplete(JoinCompleteness(answered=1000, whole=999)) is None
    assert why_incomplete(JoinCompleteness(answered=1000, whole=998, missing={"a": 2})) is not None
    assert (
        why_incomplete(JoinCompleteness(answered=0, whole=0))
        == "no request was answered, so none could be followed"
    )
