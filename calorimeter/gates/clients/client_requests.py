"""What each client sends with its visits: a part of the request that is hashed, or its cookies."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie

from calorimeter.core.request_key import RequestKey
from calorimeter.gates.context import Context, shared


@dataclass(slots=True)
class ClientRequests:
    """The requests of all clients of one API; a client is its source address, None the machine's own.

    With a `key` each client sends its own address as the part of the request that the proxy hashes. With
    `keeps_cookies` it sends the cookies that it was given; its visits must then follow one another.
    """

    key: RequestKey | None = None
    keeps_cookies: bool = False
    _cookies: dict[str | None, dict[str, str]] = field(default_factory=dict)

    def path(self, client: str | None) -> str:
        """The path of a client's next request."""
        return self.key.path(client) if self.key and client else "/"

    def headers(self, client: str | None) -> dict[str, str]:
        """The headers of a client's next request, by name."""
        headers = self.key.headers(client) if self.key and client else {}
        if kept := self._cookies.get(client):
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in kept.items())
        return headers

    def answered(self, client: str | None, received: bytes) -> None:
        """Keep the cookies of an answer, as a browser does."""
        if not self.keeps_cookies:
            return
        head = received.partition(b"\r\n\r\n")[0].decode("latin-1")
        for line in head.split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "set-cookie":
                self._cookies.setdefault(client, {}).update(_cookies(value))


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.coded_value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}


@shared
def client_requests(context: Context, api_name: str) -> ClientRequests:
    """The requests of the clients of the API `rest` or `cfn`: the same clients in all gates."""
    wanted = context.deployment.expect.of(api_name)
    key = None if wanted.stick_on else RequestKey.of(wanted.balance)
    return ClientRequests(key, wanted.stick_on == "cookie")
