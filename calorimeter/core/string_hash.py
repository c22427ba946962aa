"""HAProxy's hash functions of text, as `hash-type` names them: for `balance uri`, `hdr` and `url_param`.

Compared with the installed HAProxy by `tests/gates/affinity/test_policies_haproxy.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

_MASK = 0xFFFFFFFF


def sdbm(text: bytes) -> int:
    """The hash of the sdbm database library; HAProxy's default."""
    value = 0
    for byte in text:
        value = (byte + (value << 6) + (value << 16) - value) & _MASK
    return value


def djb2(text: bytes) -> int:
    """Daniel J. Bernstein's hash: 33 times the value before, plus the byte."""
    value = 5381
    for byte in text:
        value = (value * 33 + byte) & _MASK
    return value


def wt6(text: bytes) -> int:
    """William Tarreau's hash: two words that are mixed and rotated by steps that depend on them."""
    first, second, left, right = 0xA53C965A, 0x5CA6953A, 6, 18
    for byte in text:
        first, second = ~(first ^ byte) & _MASK, ~(second + byte) & _MASK
        first, second = _rotated(second, left), _rotated(first, right)
        steps = ((first >> 16) ^ second) & 0xFFFF
        left, right = steps & 0x1F, steps >> 11
    return first ^ second


def _rotated(value: int, steps: int) -> int:
    return (value << steps | value >> (32 - steps)) & _MASK


FUNCTIONS: dict[str, Callable[[bytes], int]] = {
    "sdbm": sdbm,
    "djb2": djb2,
    "wt6": wt6,
    "crc32": zlib.crc32,
}
"""The name in `hash-type` → the function."""
