"""The first line of a request: the last place where a character could begin another request."""

from __future__ import annotations


class UnsafeRequestError(ValueError):
    """A request line or header would have a character that ends it: a fault of this program."""


def request_line(method: str, target: str) -> bytes:
    """`METHOD TARGET HTTP/1.1`; raises UnsafeRequestError if `target` is no visible ASCII without spaces.

    Values from answers are checked where they are read (`calorimeter.core.foreign`).
    """
    if not target.isascii() or not target.isprintable() or " " in target:
        raise UnsafeRequestError(f"{target!a:.200} cannot be sent in a request line")
    return f"{method} {target} HTTP/1.1\r\n".encode("ascii")
