"""Notices the end of the parent process: its end of the pipe on standard input closes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gevent

_READ = 1
_watchers: list[Any] = []


def watch(gone: Callable[[], None]) -> None:
    """Call `gone` in a new greenlet when standard input ends, even if the parent was killed."""
    watcher = gevent.get_hub().loop.io(0, _READ)

    def readable() -> None:
        if not os.read(0, 4096):
            watcher.close()
            gevent.spawn(gone)

    watcher.start(readable)
    _watchers.append(watcher)  # without a reference, the watcher would stop
