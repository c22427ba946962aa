"""Notices that the process is gone which started this one, even if it was killed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
from locust.runners import MasterRunner

ALONE_S = 5.0
"""Time for a master to quit by itself whose parent was killed."""

_READ = 1
_watchers: list[Any] = []

_ORIGIN = os.getpid()
"""The process that loaded this module. Locust's master does so before it forks its workers."""


def watch(gone: Callable[[], None], *, on_input: bool) -> None:
    """Call `gone` in a new greenlet when the process has ended from which this one was forked, if any.

    `on_input`: also when standard input ends; it is a pipe from the parent, and closes with it.
    """
    if on_input:
        _watch(0, lambda: not os.read(0, 4096), gone)
    if os.getpid() != _ORIGIN:
        _watch_origin(gone)


def exit_without_workers(runner: Any) -> None:
    """End a master that does not quit by itself because no worker has come.

    Locust waits without end for workers that died before they were ready.
    """
    if isinstance(runner, MasterRunner) and not runner.clients.ready:
        gevent.sleep(ALONE_S)
        os._exit(1)


def _watch_origin(gone: Callable[[], None]) -> None:
    with suppress(ProcessLookupError):
        process = os.pidfd_open(_ORIGIN)
        if os.getppid() == _ORIGIN:  # now it cannot be another one with the same pid
            _watch(process, lambda: True, gone)
            return
        os.close(process)
    gevent.spawn(gone)


def _watch(descriptor: int, is_end: Callable[[], bool], gone: Callable[[], None]) -> None:
    watcher = gevent.get_hub().loop.io(descriptor, _READ)

    def readable() -> None:
        if is_end():
            watcher.close()
            gevent.spawn(gone)

    watcher.start(readable)
    _watchers.append(watcher)  # without a reference, the watcher would stop
