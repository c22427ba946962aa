"""A timer for gevent's loop that is exact to microseconds; the loop's own timers are up to 2 ms late.

Linux's timerfd is a descriptor that becomes readable at an absolute time (timerfd_create(2)). Python wraps
it only from 3.13 on, so ctypes calls it here.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import gevent

from calorimeter.core.clock import OFFSET_NS

_CLOCK_MONOTONIC = 1
_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE = 1
_READ = 1


class _Time(ctypes.Structure):
    _fields_ = (("s", ctypes.c_long), ("ns", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("every", _Time), ("at", _Time))


_libc = ctypes.CDLL(None, use_errno=True)
_settime = _libc.timerfd_settime


class Alarm:
    """Calls `ring` in the hub at the time that was set last. `ring` must not wait."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._fd: int = _libc.timerfd_create(_CLOCK_MONOTONIC, _NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting()
        self._at = self._setting.at
        self._reference = ctypes.byref(self._setting)
        self._ring = ring
        self._watcher: Any = gevent.get_hub().loop.io(self._fd, _READ)
        self._watcher.start(self._readable)

    def set(self, at_ns: int) -> None:
        """Ring at `at_ns` (of `clock.now_ns`); at once if that time has passed."""
        # A setting of zero would disarm the timer.
        self._at.s, self._at.ns = divmod(max(1, at_ns - OFFSET_NS), 1_000_000_000)
        _settime(self._fd, _ABSOLUTE, self._reference, None)

    def close(self) -> None:
        """Never ring again. May be called more than once."""
        if self._fd >= 0:
            self._watcher.close()
            os.close(self._fd)
            self._fd = -1

    def _readable(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # it was set again before this was called
            return
        self._ring()
