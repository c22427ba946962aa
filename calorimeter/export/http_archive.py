"""Requests as an HTTP Archive (HAR) 1.2: what samples hold of them, and nothing that they do not hold.

A sample has neither headers nor bodies nor the names in a path. The archive has the route of the operation
instead of a path, and no headers; sizes are -1, which the specification uses for what is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from calorimeter import __version__
from calorimeter.core import asked_route
from calorimeter.core.asked_route import AskedRoute
from calorimeter.export.slowest_requests import SlowRequest

UNKNOWN = -1

COMMENT = (
    "Times count from the moment a request was due; blocked is its wait in the load generator. "
    "wait includes a new connection, which samples do not time. "
    "The path is the route of the operation, without names."
)


def document(
    requests: Iterable[SlowRequest],
    fronts: Mapping[str, str],
    routes: Mapping[tuple[str, str], AskedRoute],
    name: str,
) -> str:
    """The archive. `fronts` are the front URLs by API, `routes` are by API and operation."""
    entries = [_entry(request, fronts, routes) for request in requests]
    log = {
        "version": "1.2",
        "creator": {"name": "calorimeter", "version": __version__},
        "comment": f"{name}: the {len(entries)} slowest requests. {COMMENT}",
        "pages": [],
        "entries": entries,
    }
    return json.dumps({"log": log}, indent=1) + "\n"


def _entry(
    request: SlowRequest, fronts: Mapping[str, str], routes: Mapping[tuple[str, str], AskedRoute]
) -> dict[str, Any]:
    timings = _timings(request)
    route = routes.get((request.api, request.operation))
    return {
        "startedDateTime": _iso(request.due_ns),
        "time": round(sum(took for took in timings.values() if took != UNKNOWN), 6),
        "request": {
            "method": route.method if route and route.method else "UNKNOWN",
            "url": asked_route.url(request.api, request.operation, fronts.get(request.api, ""), route),
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": [],
            "queryString": [],
            "headersSize": UNKNOWN,
            "bodySize": UNKNOWN,
        },
        "response": _response(request),
        "cache": {},
        "timings": timings,
        "comment": f"{request.api}.{request.operation}",
        "_operation": f"{request.api}.{request.operation}",
        "_requestId": request.request_id,
        "_error": request.error,
        "_user": request.user,
        "_phase": request.phase,
        "_source": request.source,
    }


def _response(request: SlowRequest) -> dict[str, Any]:
    return {
        "status": request.status,
        "statusText": _PHRASES.get(request.status, ""),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": [],
        "content": {"size": UNKNOWN, "mimeType": "x-unknown"},
        "redirectURL": "",
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN,
    }


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _timings(request: SlowRequest) -> dict[str, float]:
    """Milliseconds; -1 for what samples do not time. An answer that never began is all waited for."""
    began = request.first_byte_ns or request.done_ns
    return {
        "blocked": _ms(request.sent_ns - request.due_ns),
        "dns": UNKNOWN,
        "connect": UNKNOWN,
        "ssl": UNKNOWN,
        "send": 0,
        "wait": _ms(began - request.sent_ns),
        "receive": _ms(request.done_ns - began),
    }


def _ms(ns: int) -> float:
    return max(0, ns) / 1e6


def _iso(ns: int) -> str:
    whole, rest = divmod(ns, 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1000:06}Z"
