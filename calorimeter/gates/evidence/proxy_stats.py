"""Readers of HAProxy's statistics: its stats socket (Unix or TCP) and its stats page.

They only read; nothing is changed. The records are those of `proxy_state`.
"""

from __future__ import annotations

import csv
import socket
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests

from calorimeter.core.errors import InputError
from calorimeter.core.foreign import MISREAD
from calorimeter.core.login.http_session import HttpSession, without_secrets
from calorimeter.gates.evidence.proxy_state import (
    LiveSession,
    ServerStat,
    ServerState,
    read_info,
    read_servers_state,
    read_sessions,
    read_stat,
    read_tables,
)
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable, NotVisible

T = TypeVar("T")

TIMEOUT_S = 5.0
LARGEST_ANSWER = 256 * 1024 * 1024


class StatsSource:
    """A source of a proxy's statistics, at the address `where`. All methods may raise
    `EvidenceUnavailable`.

    If not `shows_sessions`, every method but `show_stat` raises `NotVisible`.
    """

    where: str
    shows_sessions: bool

    def ask(self, command: str) -> str:
        """The text that answers one command of the stats socket."""
        raise NotImplementedError

    def read(self, command: str, parse: Callable[[str, str], T]) -> T:
        """The answer to a command, parsed by `parse(text, where)`."""
        text = self.ask(command)
        try:
            return parse(text, self.where)
        except (*MISREAD, csv.Error) as problem:
            kind = type(problem).__name__
            raise EvidenceUnavailable(
                self.where, f"answers {command!r} in an unknown format ({kind})"
            ) from None

    def show_stat(self) -> tuple[ServerStat, ...]:
        """All rows of `show stat`."""
        return self.read("show stat", read_stat)

    def show_info(self) -> dict[str, str]:
        """Name → value of `show info`."""
        return self.read("show info", lambda text, where: read_info(text))

    def show_sess(self) -> tuple[LiveSession, ...]:
        """The live sessions, without that of the stats socket itself."""
        return self.read("show sess", lambda text, where: read_sessions(text))

    def show_tables(self) -> dict[str, int]:
        """Name → entries of each stick table."""
        return self.read("show table", lambda text, where: read_tables(text))

    def show_servers_state(self) -> tuple[ServerState, ...]:
        """The rows of `show servers state`."""
        return self.read("show servers state", read_servers_state)


class StatsSocket(StatsSource):
    """HAProxy's stats socket, at `unix:///PATH` or `tcp://HOST:PORT`."""

    shows_sessions = True

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.where = url
        self._timeout_s = timeout_s
        parts = urlsplit(url)
        self._target: str | tuple[str, int]
        if parts.scheme == "unix" and parts.path:
            self._target = unquote(parts.path)
        elif parts.scheme == "tcp" and parts.hostname and parts.port:
            self._target = (parts.hostname, parts.port)
        else:
            raise InputError("proxy.stats", f"{url!r} given", "valid: unix:///PATH or tcp://HOST:PORT")

    def ask(self, command: str) -> str:
        """The answer to one command. Raises `EvidenceUnavailable` if none comes or it is a refusal."""
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._connected() as connection:
                connection.sendall(command.encode() + b"\n")
                answer = self._read(connection, command, deadline)
        except TimeoutError as problem:
            why = f"no complete answer to {command!r} in {self._timeout_s:g} s"
            raise EvidenceUnavailable(self.where, why) from problem
        except OSError as problem:
            raise EvidenceUnavailable(self.where, problem.strerror or str(problem)) from problem
        text = answer.decode("utf-8", "replace")
        if text.startswith("Permission denied"):
            raise EvidenceUnavailable(self.where, f"{command!r} is refused: the socket's level is too low")
        if text.startswith("Unknown command"):
            raise EvidenceUnavailable(
                self.where, f"the command {command!r} is unknown: is this HAProxy's stats socket?"
            )
        return text

    def _connected(self) -> socket.socket:
        if isinstance(self._target, tuple):
            return socket.create_connection(self._target, self._timeout_s)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(self._timeout_s)
        try:
            connection.connect(self._target)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, connection: socket.socket, command: str, deadline: float) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            chunk = connection.recv(1 << 18)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise EvidenceUnavailable(self.where, f"the answer to {command!r} does not end")


class StatsPage(StatsSource):
    """HAProxy's stats page, at `http(s)://HOST:PORT/PATH`: it shows only counters."""

    shows_sessions = False

    def __init__(
        self,
        url: str,
        user: str | None = None,
        password: str | None = None,
        *,
        verify: bool | str = True,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.where = url
        self._auth = (user, password or "") if user is not None else None
        self._verify = verify
        self._timeout_s = timeout_s

    def ask(self, command: str) -> str:
        """The text of the page as CSV, which answers `show stat`. Raises `NotVisible` for other
        commands."""
        if command != "show stat":
            why = f"a stats page does not show what {command!r} shows; a stats socket does"
            raise NotVisible(self.where, why)
        try:
            with HttpSession(self.where, self.where, verify=self._verify) as http:
                answer = http.get(
                    self.where.removesuffix(";csv") + ";csv",
                    auth=self._auth,
                    timeout=self._timeout_s,
                    headers={"Connection": "close"},
                )
        except requests.RequestException as problem:
            raise EvidenceUnavailable(self.where, _plain(problem)) from problem
        if answer.status_code == 401:
            why = (
                "refuses the given stats_user and stats_password" if self._auth else "requires a stats_user"
            )
            raise EvidenceUnavailable(self.where, why)
        if answer.status_code != 200:
            leads = f" to {without_secrets(answer.headers['Location'])}" if answer.is_redirect else ""
            raise EvidenceUnavailable(self.where, f"answered {answer.status_code}{leads}: not a stats page")
        return answer.content.decode("utf-8", "replace")


def _plain(problem: requests.RequestException) -> str:
    """The reason only: requests' own message quotes objects, and may quote a URL with credentials."""
    if isinstance(problem, requests.Timeout):
        return "no answer in time"
    if isinstance(problem, requests.exceptions.SSLError):
        return "its TLS certificate cannot be verified"
    if isinstance(problem, requests.exceptions.ContentDecodingError):
        return "its answer cannot be unpacked, or is too large"
    cause: BaseException | None = problem
    for _ in range(10):
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        reason = getattr(cause, "reason", None)
        arguments = [a for a in getattr(cause, "args", ()) if isinstance(a, BaseException)]
        following = reason if isinstance(reason, BaseException) else (arguments[0] if arguments else None)
        following = following or (cause.__cause__ or cause.__context__ if cause else None)
        if following is None or following is cause:
            break
        cause = following
    return "cannot be reached"
