"""How an operation is asked for, and its URL: the front address with the route, without names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

_PLACEHOLDER = re.compile(r"\{(\w+)(?:[^\w{}][^{}]*)?\}", re.ASCII)
PATH_SAFE = "/:@!$&'()*+,;=~"
"""Characters of a path that need no escape."""


@dataclass(frozen=True, slots=True)
class AskedRoute:
    """How an operation is asked for: `POST`, `/stacks/{stack_name}/{stack_id}`."""

    method: str
    path: str


def url(api: str, operation: str, front: str, route: AskedRoute | None) -> str:
    """The front address with the route, its placeholders as `:name`; never a user or a password of it.

    Without a route the name of the operation is in its place. Without a front the host is `API.invalid`.
    """
    parts = urlsplit(front or f"http://{api}.invalid")
    host = parts.netloc.rpartition("@")[2]
    below = _PLACEHOLDER.sub(r":\1", route.path) if route and route.path else f"/:{operation}"
    project = "/:project" if api == "rest" else ""
    path = quote(f"{parts.path.rstrip('/')}{project}{below}", safe=PATH_SAFE)
    return f"{parts.scheme}://{quote(host, safe=':[]')}{path}"
