"""The spans of one request's HTTP: generator, client, both sides of the proxy, API.

Each lies within its parent: the evidence comes from several clocks, so a time outside of the parent's is
pushed inwards. Names of attributes are those of OpenTelemetry's semantic conventions for HTTP
(`export.otlp_values` names their version); those that begin with `calorimeter.` are this suite's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from calorimeter.core.trace_span import Attribute, SpanKind, SpanSource, TraceSpan, digest
from calorimeter.gates.evidence.proxy_log import plain
from calorimeter.gates.request_path.path import RequestPath, SentRequest
from calorimeter.gates.request_path.segments import TimedRequest, answered_ns, connected_ns

GENERATOR = SpanSource("calorimeter")
PROXY = SpanSource("haproxy")

API_SERVICES = {"rest": "heat-api", "cfn": "heat-api-cfn"}

OTHER_ERROR = "_OTHER"
"""What the conventions call an error of no known type."""

_UUID = re.compile(r"req-([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpTarget:
    """How a request is asked for. `route` is empty if the path is not one of a route without names."""

    method: str
    url: str
    route: str = ""


class HttpSpans(NamedTuple):
    """The spans of a request's HTTP; `inner` is the one that its messages begin in."""

    spans: tuple[TraceSpan, ...]
    inner: TraceSpan


def trace_id(request: SentRequest) -> str:
    """The id of a request's trace: the UUID of its request id without `req-` and hyphens.

    For ids of another form, and for requests that got none, it is a hash.
    """
    found = _UUID.fullmatch(request.request_id)
    if found and (digits := "".join(found.groups())).strip("0"):
        return digits
    return digest(32, request.request_id or _sent_by(request))


def http_spans(path: RequestPath, target: HttpTarget) -> HttpSpans:
    """The spans of one request, each before those within it."""
    request = path.request
    spans = [*_of_client(request, target)]
    spans += _of_proxy(path, target, spans[-1])
    if path.backend or path.api_process or request.request_id or path.legs:
        spans.append(_of_api(path, target, spans[-1]))
    return HttpSpans(tuple(spans), spans[-1])


def _sent_by(request: SentRequest) -> str:
    return f"{request.api} {request.source} {request.source_port} {request.sent_ns}"


def span_id(request: SentRequest, *parts: object) -> str:
    """The id of one of the spans of a request."""
    return digest(16, request.request_id, _sent_by(request), request.done_ns, *parts)


def _of_client(request: SentRequest, target: HttpTarget) -> Iterator[TraceSpan]:
    end_ns = max(request.sent_ns, request.done_ns)
    error = _client_error(request)
    parent_id = ""
    if isinstance(request, TimedRequest):
        parent_id = span_id(request, "request")
        yield TraceSpan(
            GENERATOR, trace_id(request), parent_id, "", f"{request.api}.{request.operation}",
            SpanKind.INTERNAL, min(request.scheduled_ns, request.sent_ns), end_ns,
            {"calorimeter.api": request.api, "calorimeter.operation": request.operation},
            error=error,
        )  # fmt: skip
    first_ns = request.first_byte_ns if isinstance(request, TimedRequest) else 0
    yield TraceSpan(
        GENERATOR, trace_id(request), span_id(request, "client"), parent_id, _name(target), SpanKind.CLIENT,
        request.sent_ns, end_ns,
        {
            **_asked(target),
            **_answered(request),
            "network.local.address": request.source,
            "network.local.port": request.source_port,
        },
        moments=((first_ns, "first byte"),) if request.sent_ns <= first_ns <= end_ns else (),
        error=error,
    )  # fmt: skip


def _of_proxy(path: RequestPath, target: HttpTarget, client: TraceSpan) -> Iterator[TraceSpan]:
    """The proxy as the client's server, and as the client of the API; none without a line of its log."""
    if path.backend is None:
        return
    request, begun_ns = path.request, path.timers.accepted_ns if path.timers else client.start_ns
    start_ns = _within(begun_ns, client)
    yield TraceSpan(
        PROXY, client.trace_id, span_id(request, "proxy"), client.span_id, _name(target), SpanKind.SERVER,
        start_ns, client.end_ns,
        {
            **_served(target),
            **_answered(request),
            "client.address": plain(request.source),
            "client.port": request.source_port,
        },
        error=_server_error(request),
    )  # fmt: skip
    opened_ns = connected_ns(request, path)
    yield TraceSpan(
        PROXY, client.trace_id, span_id(request, "backend"), span_id(request, "proxy"), _name(target),
        SpanKind.CLIENT, max(start_ns, _within(opened_ns or start_ns, client)), client.end_ns,
        {**_asked(target), **_answered(request), "calorimeter.backend": path.backend},
        error=_server_error(request),
    )  # fmt: skip


def _of_api(path: RequestPath, target: HttpTarget, parent: TraceSpan) -> TraceSpan:
    request, process = path.request, path.api_process
    service = API_SERVICES.get(request.api, request.api or "unknown_service")
    source = SpanSource(service, str(process or path.backend or ""), process.host if process else "")
    end_ns = parent.end_ns
    if isinstance(request, TimedRequest) and request.first_byte_ns > 0:
        end_ns = _within(answered_ns(request, path), parent)
    return TraceSpan(
        source, parent.trace_id, span_id(request, "api"), parent.span_id, _name(target), SpanKind.SERVER,
        parent.start_ns, end_ns, {**_served(target), **_answered(request)}, error=_server_error(request),
    )  # fmt: skip


def _within(at_ns: int, parent: TraceSpan) -> int:
    return min(max(at_ns, parent.start_ns), parent.end_ns)


def _name(target: HttpTarget) -> str:
    return f"{target.method} {target.route}".rstrip()


# Most requests have the target of one before.
@lru_cache(256)
def _asked(target: HttpTarget) -> Mapping[str, Attribute]:
    """What a client's span says of a request; its URL has the names of a route in place of the values."""
    parts = urlsplit(target.url)
    return {
        "http.request.method": target.method,
        "url.full": target.url,
        **({"url.template": target.route} if target.route else {}),
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }


# Most requests have the target of one before.
@lru_cache(256)
def _served(target: HttpTarget) -> Mapping[str, Attribute]:
    parts = urlsplit(target.url)
    return {
        "http.request.method": target.method,
        "url.scheme": parts.scheme,
        "url.path": parts.path,
        **({"http.route": target.route} if target.route else {}),
    }


def _answered(request: SentRequest) -> dict[str, Attribute]:
    return {
        **({"http.response.status_code": request.status} if request.status else {}),
        **(
            {"http.response.header.x-openstack-request-id": (request.request_id,)}
            if request.request_id
            else {}
        ),
    }


def _client_error(request: SentRequest) -> str:
    """Empty for an answer that the operation expects, whatever its status."""
    if isinstance(request, TimedRequest):
        return str(request.status) if request.error == "status" and request.status else request.error
    if not request.status:
        return OTHER_ERROR
    return str(request.status) if request.status >= HTTPStatus.BAD_REQUEST else ""


def _server_error(request: SentRequest) -> str:
    """A server fails with 5xx, or without an answer; a status 4xx is the client's error."""
    if not request.status:
        return OTHER_ERROR
    return str(request.status) if request.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ""
