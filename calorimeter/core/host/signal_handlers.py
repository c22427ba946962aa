"""Signal handlers for the length of a `with` block. Outside the main thread both leave signals alone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def interrupted_by(*signals: signal.Signals) -> Iterator[None]:
    """Raise KeyboardInterrupt on each of `signals`, as Ctrl-C does."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(signals, interrupt):
        yield


@contextmanager
def ignoring(*signals: signal.Signals) -> Iterator[None]:
    """Ignore each of `signals`."""
    with _handled(signals, signal.SIG_IGN):
        yield


@contextmanager
def calling(function: Callable[[], Any], *signals: signal.Signals) -> Iterator[None]:
    """Call a function at the first of `signals`; later ones end the process as they would otherwise."""

    def call(signum: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.default_int_handler)
        function()

    with _handled(signals, call):
        yield


@contextmanager
def _handled(
    signals: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], Any] | signal.Handlers
) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum in signals}
    try:
        yield
    finally:
        for signum, earlier in before.items():
            signal.signal(signum, earlier)
