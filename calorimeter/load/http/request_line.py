"""The first line of a request: the last place where a character could begin another request."""

from __future__ import annotations


class UnsafeRequestError(ValueError):
    """A request line or header would have a character that ends it: a fault of this program."""


def request_line(method: str, target: str) -> bytes:
    """`METHOD TARGET HTTP/1.1`. Raises UnsafeRequestError if `target` is not ASCII, or would end the line.

    Values from answers are checked where they are read (`calorimeter.core.foreign`).
    """
    # The cheapest check that no second request can begin here: this runs for each request of a load.
    if " " in target or "\r" in target or "\n" in target or "\0" in target or not target.isascii():
        raise UnsafeRequestError(f"{target!a:.200} cannot be sent in a request line")
    return f"{method} {target} HTTP/1.1\r\n".encode("ascii")
