"""The part of a request that `balance uri`, `hdr` and `url_param` hash, and requests that have one.

So that each client address has a server of its own under such a policy, too, each sends its own address as
the key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self

_BALANCE = re.compile(r"(uri)|hdr\(([!#$%&'*+.^_`|~\w-]{1,99})\)|url_param\s{1,9}([\w.-]{1,99})", re.ASCII)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What is hashed: the path (`uri`), a header's value, or a parameter of the query."""

    kind: Literal["uri", "hdr", "url_param"]
    name: str = ""

    @classmethod
    def of(cls, balance: str) -> Self | None:
        """The key of the arguments of `balance`; None if it is none of these, or has further words."""
        found = _BALANCE.fullmatch(balance.strip())
        if found is None:
            return None
        if found[1]:
            return cls("uri")
        return cls("hdr", found[2]) if found[2] else cls("url_param", found[3])

    def hashed(self, client: str) -> bytes:
        """What HAProxy hashes of the request of a client."""
        return (f"/{client}" if self.kind == "uri" else client).encode()

    def path(self, client: str) -> str:
        """The path of the request of a client."""
        if self.kind == "uri":
            return f"/{client}"
        return f"/?{self.name}={client}" if self.kind == "url_param" else "/"

    def headers(self, client: str) -> dict[str, str]:
        """The headers of the request of a client, by name."""
        return {self.name: client} if self.kind == "hdr" else {}
