"""Types of URLs in a deployment file. Which schemes each may have; none may contain a password."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from calorimeter.core import bounds


def check_host(host: str) -> str:
    """The host. Raises ValueError if it is neither a name nor an address that can be looked up."""
    try:
        known = host.isprintable() and len(host.encode("idna")) < 254
    except UnicodeError:  # an empty label, or one of more than 63 characters
        known = False
    if not known:
        raise ValueError("a host is an IP address, or a name whose parts have 1 to 63 characters")
    return host


def _schemes(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        parts = urlsplit(text)
        try:
            bounds.PORT.check(80 if parts.port is None else parts.port)
        except ValueError as problem:  # `parts.port` itself raises above 65535 and for text
            raise ValueError(f"the port of a URL; {bounds.PORT}") from problem
        if parts.scheme not in schemes or not (parts.hostname or parts.scheme in ("unix", "file")):
            raise ValueError(f"a URL here must start with {' or '.join(f'{s}://' for s in schemes)}")
        check_host(parts.hostname or "")
        if parts.password is not None:
            raise ValueError("a URL here must not contain a password; give it as password = { env = … }")
        if parts.scheme in ("unix", "file") and (parts.netloc or len(parts.path) < 2):
            raise ValueError(f"valid: {parts.scheme}:///PATH, with three slashes")
        if parts.scheme in ("tcp", "udp") and parts.port is None:
            raise ValueError(f"valid: {parts.scheme}://HOST:PORT")
        if parts.scheme.startswith("amqp") and (
            "," in parts.netloc or parts.path.strip("/") or parts.query
        ):
            raise ValueError(
                f"valid: {parts.scheme}://HOST:PORT of one node; the vhost is a key of its own"
            )
        return text

    return AfterValidator(check)


HttpUrl = Annotated[str, _schemes("http", "https")]
AmqpUrl = Annotated[str, _schemes("amqp", "amqps")]
StatsUrl = Annotated[str, _schemes("unix", "tcp", "http", "https")]
LogUrl = Annotated[str, _schemes("udp", "file")]
DatabaseUrl = Annotated[str, _schemes("unix", "tcp")]
