"""What heat-api and heat-api-cfn answer to a request without credentials, as a health check sends it.

Measured on Heat 24; the routes are those of its `api-paste.ini` and of its version negotiation.
"""

from __future__ import annotations

HEALTH_PAGE = "/healthcheck"
HEALTH_PAGE_SINCE = 15
"""The first Heat release (Victoria) whose `api-paste.ini` has `/healthcheck`."""

_VERSIONS = ("", "/versions")
_API = {"rest": 401, "cfn": 400}
"""API → its answer to a request below `/v1` that is not authenticated, or not signed."""


def status(api: str, method: str, path: str, release: int | None) -> int | None:
    """The status of the answer of the API `rest` or `cfn`; None if that depends on more than is known.

    `release` is the major version of Heat; without it, a release with `/healthcheck` is assumed.
    """
    place = path.partition("?")[0].rstrip("/")
    if place == HEALTH_PAGE and release is not None and release < HEALTH_PAGE_SINCE:
        return 200 if method == "OPTIONS" else 404
    if method == "OPTIONS":
        return 200  # of the CORS middleware, whatever the path
    if place in _VERSIONS:
        return 300
    if place == HEALTH_PAGE:
        return 204 if method == "HEAD" else 200
    return _API[api] if place == "/v1" else None


def shows_health(path: str) -> bool:
    """Whether the answer depends on `[healthcheck]` of heat.conf: 503 if a backend of it says so."""
    return path.partition("?")[0].rstrip("/") == HEALTH_PAGE
