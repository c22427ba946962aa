"""HdrHistogram's array of counts, and its V2 compressed encoding.

Written from the published format (github.com/HdrHistogram/HdrHistogram). A histogram with three significant
digits counts values in buckets of 2048 places; each bucket's places are twice as wide as those before, and
its lower half overlaps the bucket below, so that only the upper 1024 are new. The package `hdrhistogram`
would encode one value at a time, has no tags and writes version 1.2 of the log; tests decode with it.
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from calorimeter.core.recorded.sample_stream import MOST_TAKEN_NS
from calorimeter.core.statistics import Ints

DIGITS = 3
"""Significant decimal digits: a value is kept to 0.1 %."""

_HALF = 1024
_LAST_OF_BUCKET = 2 * _HALF - 1
_COUNTS = struct.Struct(">iiiiqqd")
"""Cookie, bytes of the counts, normalizing offset, digits, lowest and highest value, conversion ratio."""
_COMPRESSED = struct.Struct(">ii")
_COUNTS_COOKIE = 0x1C849303 | 0x10
_COMPRESSED_COOKIE = 0x1C849304 | 0x10


def places(values: Ints) -> Ints:
    """The place in the array of counts of each value, from 0 to `MOST_TAKEN_NS`."""
    # A float64 has the exponent of these integers exactly.
    exponents = np.frexp((values | _LAST_OF_BUCKET).astype(np.float64))[1].astype(np.int64)
    buckets = exponents - 11
    return np.asarray((buckets + 1) * _HALF + (values >> buckets) - _HALF, dtype=np.int64)


def highest_value(place: int) -> int:
    """The largest value that is counted at a place."""
    bucket = max(0, place // _HALF - 1)
    return ((place - bucket * _HALF + 1) << bucket) - 1


PLACES = int(places(np.array([MOST_TAKEN_NS]))[0]) + 1


def encoded(used: Ints, counts: Ints) -> str:
    """A histogram in base64: `counts` are those of the places `used`, which ascend; all others are 0."""
    body = bytearray()
    following = 0
    for place, count in zip(used.tolist(), counts.tolist(), strict=True):
        if gap := place - following:
            body += _varint(-gap if gap > 1 else 0)  # a single zero is itself, more are their number
        body += _varint(count)
        following = place + 1
    head = _COUNTS.pack(_COUNTS_COOKIE, len(body), 0, DIGITS, 1, MOST_TAKEN_NS, 1.0)
    packed = zlib.compress(head + bytes(body))
    return base64.b64encode(_COMPRESSED.pack(_COMPRESSED_COOKIE, len(packed)) + packed).decode("ascii")


def _varint(number: int) -> bytes:
    """ZigZag and LEB128, of a number with fewer than 56 bits."""
    rest = number * 2 if number >= 0 else -number * 2 - 1
    found = bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    found.append(rest)
    return bytes(found)
