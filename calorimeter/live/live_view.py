"""Keeps the figures of a watched run up to date, in a thread: a poll that hangs does not stop them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.live.live_watch import LiveWatch

log = logging.getLogger(__name__)

EVERY_S = 1.0


class LiveView:
    """The newest figures as JSON, in `text` and, if given, in a file that others read."""

    def __init__(self, watch: LiveWatch, file: Path | None = None) -> None:
        self._watch = watch
        self._file = file
        self._stop = threading.Event()
        self._is_complaining = False
        self.text = b""

    def newest(self) -> bytes:
        """The newest figures; empty before the first."""
        return self.text

    @contextmanager
    def kept(self, ended: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keep the figures up to date while this is entered, or until `ended`; the last ones are `over`."""
        thread = threading.Thread(target=self._keep, args=(ended,), name="live figures", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def _keep(self, ended: Callable[[], bool]) -> None:
        over = False
        while not over:
            over = self._stop.is_set() or ended()
            self.update(time.time_ns(), over=over)
            if not over:
                self._stop.wait(EVERY_S)

    def update(self, now_ns: int, *, over: bool = False) -> None:
        """Make the figures of this moment."""
        self.text = self._watch.figures(now_ns, over=over).model_dump_json().encode()
        if self._file is None:
            return
        try:
            files.write(self._file, self.text, mode=files.PRIVATE)
            self._is_complaining = False
        except InputError as problem:  # a full disk ends no load; the page says that its figures are old
            if not self._is_complaining:
                log.warning("%s", problem)
            self._is_complaining = True
