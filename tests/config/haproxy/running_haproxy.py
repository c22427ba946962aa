"""A running HAProxy and answering servers on this machine: the truth about a configuration."""

from __future__ import annotations

import csv
import io
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from calorimeter.config.haproxy import program

PROGRAM = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
_DEADLINE_S = 5.0


def accepted(header: str, sections: Sequence[str], folder: Path) -> list[str]:
    """The sections, without those in which HAProxy refuses a line."""
    file = folder / "check.cfg"
    file.write_text("".join((header, *sections)))
    starts, at = [], header.count("\n")
    for section in sections:
        starts.append(at)
        at += section.count("\n")
    refused = [message.line for message in program.messages([file]) or () if message.fatal]
    ends = [*starts[1:], at]
    return [
        section
        for section, first, end in zip(sections, starts, ends, strict=True)
        if not any(first < line <= end for line in refused)
    ]


class RunningHAProxy:
    """A HAProxy of a test, asked at its stats socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str) -> str:
        """The answer to one command."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_DEADLINE_S)
            connection.connect(str(self._path))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    def stat(self) -> dict[tuple[str, str], dict[str, str]]:
        """`show stat`: (proxy, server) → its row."""
        rows = csv.DictReader(io.StringIO(self.ask("show stat").lstrip("# ")))
        return {(row["pxname"], row["svname"]): row for row in rows}


@contextmanager
def running(text: str, folder: Path, globals_: str = "") -> Iterator[RunningHAProxy]:
    """Start HAProxy on a configuration; `globals_` are the lines of `global`. It ends with the context."""
    file, path = folder / "haproxy.cfg", folder / "s"
    file.write_text(f"global\n    stats socket {path} level admin\n{globals_}{text}")
    with subprocess.Popen(
        [str(PROGRAM), "-db", "-f", str(file)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        drain = threading.Thread(target=lambda: process.stderr and process.stderr.read(), daemon=True)
        drain.start()
        try:
            end = time.monotonic() + _DEADLINE_S
            while not path.exists():
                assert process.poll() is None and time.monotonic() < end, "HAProxy does not start"
                time.sleep(0.01)
            yield RunningHAProxy(path)
        finally:
            process.kill()


class AnsweringServers:
    """Listening sockets that answer every HTTP request with a status, and keep its first line."""

    def __init__(self, statuses: Sequence[int], stack: ExitStack) -> None:
        self.requests: dict[int, str] = {}
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self._open = True
        self.ports = []
        for status in statuses:
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            self.ports.append(listening.getsockname()[1])
            self._selector.register(listening, selectors.EVENT_READ, status)
        thread = threading.Thread(target=self._serve)
        thread.start()
        stack.callback(thread.join)
        stack.callback(self._close)

    def _close(self) -> None:
        self._open = False

    def _serve(self) -> None:
        waiting: list[socket.socket] = []
        while self._open:
            for key, _ in self._selector.select(0.05):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one not in waiting:
                    connection, _ = one.accept()
                    waiting.append(connection)
                    self._selector.register(connection, selectors.EVENT_READ, key.data)
                else:
                    self._selector.unregister(one)
                    waiting.remove(one)
                    self._answer(one, key.data)
        for one in waiting:
            self._selector.unregister(one)
            one.close()

    def _answer(self, connection: socket.socket, status: int) -> None:
        with connection:
            try:
                port = connection.getsockname()[1]
                head = connection.recv(4096).decode("latin-1")
                line = re.match(r"([A-Z]+ \S+) HTTP", head)
                if line:
                    self.requests.setdefault(port, line[1])
                    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
                    connection.sendall((answer + ("" if head.startswith("HEAD") else "hello")).encode())
            except OSError:
                return
