"""Readers that break one promise each, to see that the harness notices."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

OUTSIDE = Path("/tmp/calorimeter-fuzz-outside")


def _raise(_: bytes) -> object:
    raise KeyError("x")


def _loop(_: bytes) -> object:
    while True:
        pass


def _memory(_: bytes) -> object:
    return len(bytearray(8 * 2**30))


def _exit(_: bytes) -> object:
    sys.exit(7)


def _child(_: bytes) -> object:
    os.mkfifo("pipe")
    return subprocess.Popen(["git", "hash-object", "--no-filters", "pipe"]) and None


def _escape(_: bytes) -> object:
    return print("\x1b[31m")


def _leak(data: bytes) -> object:
    return print(data.decode())


def _outside(_: bytes) -> object:
    with suppress(OSError):
        OUTSIDE.write_bytes(b"")
    return None


def _rename(_: bytes) -> object:
    Path("x").write_bytes(b"")
    with suppress(OSError):
        Path("x").rename("/dev/null")
    return None


def _two_lines(_: bytes) -> object:
    print("calorimeter: a\ncalorimeter: b", file=sys.stderr)
    sys.exit(2)


FAULTY: dict[str, Callable[[bytes], object]] = {
    each.__name__.strip("_"): each
    for each in (_raise, _loop, _memory, _exit, _child, _escape, _leak, _outside, _rename, _two_lines)
}
