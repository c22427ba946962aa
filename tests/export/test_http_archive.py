"""HTTP Archives: the slowest requests, with all that HAR 1.2 requires."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.asked_route import AskedRoute
from calorimeter.export import http_archive, slowest_requests
from calorimeter.export.request_batches import request_batches
from calorimeter.export.slowest_requests import SlowRequest
from calorimeter.load.operations.operation_table import REGISTRY
from tests.report.run_builder import Builder, one

FRONTS = {"rest": "http://10.0.0.1:8004/v1", "cfn": "https://user@[::1]:8000/v1/"}
ROUTES = {kind: AskedRoute(op.method, op.route) for kind, op in REGISTRY.items()}

REQUIRED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "log": {"version": str, "creator": dict, "entries": list},
    "creator": {"name": str, "version": str},
    "entry": {
        **{"startedDateTime": str, "time": (int, float), "request": dict, "response": dict},
        **{"cache": dict, "timings": dict},
    },
    "request": {
        **{"method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list},
        **{"queryString": list, "headersSize": int, "bodySize": int},
    },
    "response": {
        **{"status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list},
        **{"content": dict, "redirectURL": str, "headersSize": int, "bodySize": int},
    },
    "content": {"size": int, "mimeType": str},
    "timings": {"send": (int, float), "wait": (int, float), "receive": (int, float)},
}
"""Object → the fields that the specification of HAR 1.2 does not call optional, with their types."""

OPTIONAL = {
    "log": {"browser", "pages", "comment"},
    "creator": {"comment"},
    "entry": {"pageref", "serverIPAddress", "connection", "comment"},
    "request": {"postData", "comment"},
    "response": {"comment"},
    "content": {"compression", "text", "encoding", "comment"},
    "timings": {"blocked", "dns", "connect", "ssl", "comment"},
}


def violations(kind: str, tree: dict[str, Any]) -> Iterable[str]:
    """Where an object differs from the specification; fields of one's own begin with an underscore."""
    for name, types in REQUIRED[kind].items():
        if not isinstance(tree.get(name), types):
            yield f"{kind}.{name} is {tree.get(name)!r}"
    for name in set(tree) - set(REQUIRED[kind]) - OPTIONAL[kind]:
        if not name.startswith("_"):
            yield f"{kind}.{name} is not of HAR 1.2"
    for name in REQUIRED.keys() & tree.keys():
        yield from violations(name, tree[name])
    if kind == "log":
        for entry in tree["entries"]:
            yield from violations("entry", entry)
    if kind == "entry":
        datetime.fromisoformat(tree["startedDateTime"])
        taken = [took for took in tree["timings"].values() if took != -1]
        if min(taken) < 0 or abs(sum(taken) - tree["time"]) > 1e-3:
            yield f"entry.time is {tree['time']}, its timings {taken}"
        if not (urlsplit(tree["request"]["url"]).scheme and urlsplit(tree["request"]["url"]).hostname):
            yield f"entry.request.url is {tree['request']['url']}"


def archive(*requests: SlowRequest) -> dict[str, Any]:
    """The archive's log, checked against the specification."""
    text = http_archive.document(requests, FRONTS, ROUTES, "run")
    assert text.isascii()
    log = json.loads(text)["log"]
    assert list(violations("log", log)) == []
    return dict(log)


def request(kind: str = "rest create", **columns: Any) -> SlowRequest:
    """A request of 123 ms, of which 3 ms were waited for in the generator."""
    row = one(kind, late_ms=3, took_ms=120, **columns)
    due = row.pop("scheduled_ns")
    row.pop("source_port")
    return SlowRequest(response_ns=row["done_ns"] - due, due_ns=due, **row)


def test_an_entry_has_what_a_sample_has() -> None:
    """Times in ms from the moment it was due; the request's id as a field of its own."""
    first = request().sent_ns + 20_000_000
    (entry,) = archive(request(status=201, first_byte_ns=first, request_id="req-7", user=5))["entries"]
    assert entry["startedDateTime"] == "2025-10-09T08:53:20.000000Z"
    assert entry["time"] == 123
    assert entry["timings"] == {
        **{"blocked": 3, "dns": -1, "connect": -1, "ssl": -1, "send": 0, "wait": 20, "receive": 100},
    }
    asked, answered = entry["request"], entry["response"]
    assert (asked["method"], asked["url"]) == ("POST", "http://10.0.0.1:8004/v1/:project/stacks")
    assert (answered["status"], answered["statusText"]) == (201, "Created")
    assert {name: value for name, value in entry.items() if name[0] == "_"} == {
        **{"_operation": "rest.create", "_requestId": "req-7", "_error": "", "_user": 5, "_phase": ""},
        "_source": "127.0.0.10",
    }


@pytest.mark.parametrize(
    ("kind", "method", "url"),
    [
        ("rest show", "GET", "http://10.0.0.1:8004/v1/:project/stacks/:stack_name/:stack_id"),
        ("rest show-by-arn", "GET", "http://10.0.0.1:8004/v1/:project/stacks/:stack_name"),
        ("cfn CreateStack", "POST", "https://[::1]:8000/v1/"),
        ("cfn wait", "UNKNOWN", "https://[::1]:8000/v1/:wait"),
        ("x a b/é?#\u202e", "UNKNOWN", "http://x.invalid/:a%20b/%C3%A9%3F%23%E2%80%AE"),
    ],
)
def test_a_url_is_the_front_with_the_route(kind: str, method: str, url: str) -> None:
    """Names that samples do not hold are `:name`; a user of the front address is left out."""
    (entry,) = archive(request(kind))["entries"]
    assert (entry["request"]["method"], entry["request"]["url"]) == (method, url)


def test_a_request_without_an_answer_is_all_wait() -> None:
    """A timeout: no first byte, status 0."""
    (entry,) = archive(request(error="timeout", status=0, first_byte_ns=0))["entries"]
    assert (entry["timings"]["wait"], entry["timings"]["receive"]) == (120, 0)
    assert (entry["response"]["status"], entry["response"]["statusText"]) == (0, "")
    assert entry["_error"] == "timeout"


@given(
    st.integers(0, 999), st.text(), st.sampled_from(["rest", "cfn", "other"]), st.text(), st.integers(0, 10)
)
def test_whatever_a_run_holds_is_an_archive(
    status: int, name: str, api: str, text: str, early: int
) -> None:
    """Foreign names, statuses without a phrase, clocks that went back."""
    archive(
        SlowRequest(1, 10, 10 - early, 5, 7, api, name, status, "", text, -1, text, text),
        SlowRequest(1, 10, 12, 0, 14, api, name, status, "", text, -1, text, text),
    )


def test_the_check_finds_what_is_missing() -> None:
    """The check has been red."""
    log = archive(request())
    del log["entries"][0]["request"]["queryString"]
    log["entries"][0]["response"]["status"] = "200"
    log["entries"][0]["timings"]["wait"] = -5
    log["more"] = 1
    assert len(list(violations("log", log))) == 4


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1, max_size=30), st.integers(1, 8))
def test_the_slowest_are_those_of_a_sorted_list(taken: list[tuple[int, bool]], most: int) -> None:
    """However the samples are cut into batches; what was never sent is not among them."""
    rows = [(place, took) for place, (took, never) in enumerate(taken) if not never]
    expected = sorted(rows, key=lambda row: -row[1])[:most]
    batches = [_batch(taken[at : at + 7], at) for at in range(0, len(taken), 7)]
    found = slowest_requests.slowest(batches, most)
    assert [(r.due_ns, r.response_ns) for r in found] == sorted(expected)


def _batch(taken: list[tuple[int, bool]], at: int) -> Any:
    import numpy as np
    import pyarrow as pa

    from calorimeter.core.recorded.samples import SAMPLE
    from calorimeter.export.request_batches import RequestBatch

    rows = [{**one("rest list"), "error": "dropped" if never else ""} for _, never in taken]
    batch = pa.RecordBatch.from_pylist(rows, schema=SAMPLE)
    took = np.array([each for each, _ in taken], dtype=np.int64)
    never = np.array([each for _, each in taken])
    return RequestBatch(batch, np.arange(at, at + len(taken)), took, took, never)


def test_the_slowest_of_a_run_come_from_all_its_files(tmp_path: Path) -> None:
    """Two files, the two slowest, in the order in which they were due."""
    builder = Builder(tmp_path / "run").about()
    for number, taken in enumerate(((10, 900), (700, 20))):
        rows = [one("rest list", at_ms=n - number, took_ms=took) for n, took in enumerate(taken, 5)]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        builder.samples(columns, name=f"w{number}-0")
    found = slowest_requests.slowest(request_batches(builder.run, slowest_requests.COLUMNS), 2)
    assert [request.response_ns for request in found] == [700_000_000, 900_000_000]
