"""Receives a proxy's log: syslog on a UDP port, or the lines that a file gains."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

from calorimeter.core import files
from calorimeter.core.deployment import Address, Proxy
from calorimeter.core.errors import InputError
from calorimeter.gates.evidence.proxy_log import LogLine

RECEIVE_BUFFER = 64 * 1024 * 1024
"""Bytes requested; without privileges the kernel allows only net.core.rmem_max (about 212 kB)."""

LARGEST_DATAGRAM = 65535
POLL_EVERY_S = 0.02
"""How often a file is polled: not every file system can notify of a rotation by rename."""

_SO_MEMINFO = 55
_DROPS = 8  # index of SK_MEMINFO_DROPS in the array of 32-bit counters that SO_MEMINFO gives


class LogSource(AbstractContextManager["LogSource"]):
    """Receives a log while it is entered. Lines stay until they are drained; `lines` is a snapshot.

    Lines lost on the way to this machine show only in a comparison with the proxy's own counters.
    """

    where: str

    def __init__(self) -> None:
        self._lines: list[LogLine] = []
        self._doubts: list[str] = []
        self._changed = threading.Condition()

    def add(self, lines: Sequence[LogLine]) -> None:
        """Add lines that were received."""
        with self._changed:
            self._lines.extend(lines)
            self._changed.notify_all()

    def lines(self) -> tuple[LogLine, ...]:
        """All lines received and not drained, oldest first."""
        with self._changed:
            return tuple(self._lines)

    def drain(self) -> tuple[LogLine, ...]:
        """Return the same lines, and forget them."""
        with self._changed:
            drained, self._lines = tuple(self._lines), []
            return drained

    def wait_for(self, predicate: Callable[[Sequence[LogLine]], bool], timeout_s: float) -> bool:
        """Wait until `predicate` holds for the lines not drained, at most `timeout_s`; whether it does."""
        with self._changed:
            return self._changed.wait_for(lambda: predicate(self._lines), timeout_s)

    @property
    def dropped(self) -> int:
        """Lines that were lost on this machine."""
        return 0

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences that say why lines may be missing."""
        return tuple(self._doubts)


def await_lines(logs: Sequence[LogSource], enough: Callable[[], bool], within_s: float) -> bool:
    """Wait until `enough` returns true, at most `within_s`; whether it did. It is called at new lines."""
    deadline = time.monotonic() + within_s
    while True:
        seen = len(logs[0].lines()) if logs else 0
        if enough():
            return True
        left = deadline - time.monotonic()
        if left <= 0 or not logs:
            return False

        def news(lines: Sequence[LogLine], seen: int = seen) -> bool:
            return len(lines) != seen

        # New lines of the first log end the wait; those of the others are noticed within 0.5 s. `enough`
        # takes time: as the predicate of `wait_for` it would block the thread that receives lines.
        logs[0].wait_for(news, min(left, 0.5))


def open_logs(proxy: Proxy) -> tuple[LogSource, ...]:
    """The log sources of a proxy, in the order of the deployment file; entering one starts it.

    To count connections use `ProxyLogs`: several logs of a proxy show the same connections.
    """
    return tuple(log_source(url) for url in dict.fromkeys(proxy.logs))


def log_source(url: str) -> LogSource:
    """The log source for `udp://HOST:PORT` or `file:///PATH`. Raises `InputError` for any other URL."""
    parts = urlsplit(url)
    if parts.scheme == "udp" and parts.hostname:
        try:
            port = parts.port
        except ValueError:
            port = None
        if port is None:
            raise InputError(url, "has no port from 1 to 65535", "valid: udp://HOST:PORT")
        return UdpLog(Address(host=parts.hostname, port=port))
    if parts.scheme == "file" and parts.path.startswith("/"):
        return FileLog(Path(unquote(parts.path)))
    raise InputError("proxy.logs", f"{url!r} given", "valid: udp://HOST:PORT or file:///PATH")


class UdpLog(LogSource):
    """Syslog by UDP on an address of this machine (port 0: a free one, see `address`).

    The receiving thread only receives, and the buffer is as large as the kernel allows; the kernel counts
    the datagrams that it drops nevertheless.
    """

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.where = f"udp://{address}"
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._dropped = 0
        self.buffer_bytes = 0

    def __enter__(self) -> Self:
        family = socket.AF_INET6 if ":" in self.address.host else socket.AF_INET
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        try:
            receiver.bind((self.address.host, self.address.port))
        except OSError as problem:
            receiver.close()
            raise _cannot_listen(self.where, problem) from problem
        self.address = Address(host=self.address.host, port=receiver.getsockname()[1])
        self.where = f"udp://{self.address}"
        self.buffer_bytes = _enlarge(receiver)
        self._wake, self._woken = socket.socketpair()
        self._socket = receiver
        self._thread = threading.Thread(
            target=self._receive, args=(receiver,), name=self.where, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._socket is None or self._thread is None:
            return
        self._wake.close()
        self._thread.join()
        self._dropped = self.dropped
        for each in (self._socket, self._woken):
            each.close()
        self._socket = None

    @property
    def dropped(self) -> int:
        """Datagrams that the kernel dropped because they were not received in time."""
        if self._socket is None:
            return self._dropped
        counters = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        return int(struct.unpack_from("I", counters, _DROPS * 4)[0])

    @property
    def doubts(self) -> tuple[str, ...]:
        """Sentences that say why lines may be missing."""
        lost = self.dropped
        return (f"the kernel dropped {lost} log datagrams at {self.where}",) if lost else ()

    def _receive(self, receiver: socket.socket) -> None:
        receiver.setblocking(False)
        waiting = select.poll()
        waiting.register(receiver, select.POLLIN)
        waiting.register(self._woken, select.POLLIN)
        while True:
            ready = {file for file, _ in waiting.poll()}
            self._fetch(receiver)
            if self._woken.fileno() in ready:
                return

    def _fetch(self, receiver: socket.socket) -> None:
        """Receive all waiting datagrams, at most 1000 at once so that waiting threads see them soon."""
        while True:
            fetched: list[LogLine] = []
            for _ in range(1000):
                try:
                    datagram = receiver.recv(LARGEST_DATAGRAM)
                except BlockingIOError:
                    break
                now = time.time_ns()
                text = datagram.decode("utf-8", "replace")
                fetched.extend(LogLine(now, line) for line in text.splitlines() if line.strip("\x00 "))
            if not fetched:
                return
            self.add(fetched)


class FileLog(LogSource):
    """Lines that a file gains from now on, across rotation, truncation and half-written lines.

    If the file does not exist yet it is awaited; its folder must exist. The time of a line is when it was
    read, at most `POLL_EVERY_S` after it was written.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.where = f"file://{path}"
        self._file: BinaryIO | None = None
        self._rest = b""
        self._skip_to_newline = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if not self.path.parent.is_dir():
            raise InputError(
                self.where, f"the folder {self.path.parent} does not exist", "valid: the proxy's log file"
            )
        with suppress(files.MissingFileError):
            self._open(at_end=True)
        self._thread = threading.Thread(target=self._follow, name=self.where, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        if self._rest:
            self._doubts.append(f"the last line of {self.path} was only half written: {self._rest[:80]!r}")
        if self._file:
            self._file.close()
            self._file = None

    def _follow(self) -> None:
        stopping = False
        while not stopping:
            stopping = self._stop.wait(POLL_EVERY_S)  # one more poll after the stop
            try:
                self._poll()
            except (OSError, InputError) as problem:
                why = problem.given if isinstance(problem, InputError) else problem.strerror
                sentence = f"{self.path} could not be read for a while ({why})"
                if sentence not in self._doubts:
                    self._doubts.append(sentence)

    def _poll(self) -> None:
        if self._file is None:
            try:
                self._open(at_end=False)
            except files.MissingFileError:
                return
        assert self._file is not None
        self._read_rest(self._file)
        opened = os.fstat(self._file.fileno())
        try:
            named = self.path.stat()
        except FileNotFoundError:
            return  # between rename and creation of a rotation
        if (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino):
            return
        self._read_rest(self._file)  # lines written between the last poll and the rename
        if self._rest:
            self._doubts.append(f"{self.path} was rotated within a line: {self._rest[:80]!r}")
            self._rest = b""
        self._file.close()
        self._open(at_end=False)
        assert self._file is not None
        self._read_rest(self._file)

    def _open(self, *, at_end: bool) -> None:
        self._file = None
        file = files.open_to_read(self.path)
        if at_end:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                self._skip_to_newline = file.read(1) != b"\n"
        self._file = file

    def _read_rest(self, file: BinaryIO) -> None:
        if os.fstat(file.fileno()).st_size < file.tell():
            self._doubts.append(f"{self.path} was truncated: lines written just before may be missing")
            file.seek(0)
            self._rest = b""
            self._skip_to_newline = False
        while chunk := file.read(1 << 20):
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if whole and self._skip_to_newline:
                del whole[0]
                self._skip_to_newline = False
            now = time.time_ns()
            lines = [LogLine(now, raw.decode("utf-8", "replace")) for raw in whole if raw.strip()]
            if lines:
                self.add(lines)


def _enlarge(receiver: socket.socket) -> int:
    forced = getattr(socket, "SO_RCVBUFFORCE", 33)
    for option in (forced, socket.SO_RCVBUF):
        try:
            receiver.setsockopt(socket.SOL_SOCKET, option, RECEIVE_BUFFER)
            break
        except PermissionError:
            continue
    return receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def _cannot_listen(where: str, problem: OSError) -> InputError:
    advice = {
        errno.EADDRINUSE: "another program listens there: stop it, or let the proxy log to a second port",
        errno.EADDRNOTAVAIL: "not an address of this machine: use one that the proxy can reach",
        errno.EACCES: "ports below 1024 need privileges: choose a higher one",
    }
    return InputError(
        where,
        f"cannot listen ({problem.strerror})",
        advice.get(problem.errno or 0, "valid: an address of this machine"),
    )
