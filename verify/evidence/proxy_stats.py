"""HAProxy's own figures: its stats socket (Unix or TCP) and its stats page.

Columns are found by their names in the header, so those that newer versions add are ignored (HAProxy
management guide, section 9.1). Everything here only looks; nothing is changed.
"""

from __future__ import annotations

import csv
import socket
import time
from collections.abc import Mapping
from typing import Literal, Protocol, get_args
from urllib.parse import unquote, urlsplit

import requests

from calorimeter.deployment import Deployment, Proxy
from calorimeter.errors import InputError
from calorimeter.toml import Model
from verify.evidence.unavailable import EvidenceUnavailable, NotVisible

TIMEOUT_S = 5.0
LARGEST_ANSWER = 256 * 1024 * 1024

_KINDS: Mapping[str, Literal["frontend", "backend", "server", "listener"]] = {
    "0": "frontend",
    "1": "backend",
    "2": "server",
    "3": "listener",
}


class ServerStat(Model):
    """One row of `show stat`; a figure is None where HAProxy does not keep it for this kind of row.

    Names are HAProxy's: `scur` sessions now, `stot` sessions ever, `qcur`/`qmax` queued now/at most, `econ`
    failed connections, `eresp` failed answers, `wretr` retries, `wredis` redispatches, `dreq`/`dresp`
    denied, `ereq` bad requests, `chkfail` failed checks, `chkdown` transitions to DOWN, `lastchg` seconds
    since the last change of state, `downtime` seconds, `check_duration` ms, `slim` maxconn, `qlimit`
    maxqueue, `lbtot` times chosen by balancing, `qtime` ms in queue (mean of the last 1024).
    """

    section: str
    name: str
    kind: Literal["frontend", "backend", "server", "listener"]
    status: str
    weight: int | None = None
    act: int | None = None
    bck: int | None = None
    qcur: int | None = None
    qmax: int | None = None
    qlimit: int | None = None
    scur: int | None = None
    smax: int | None = None
    slim: int | None = None
    stot: int | None = None
    lbtot: int | None = None
    dreq: int | None = None
    dresp: int | None = None
    dcon: int | None = None
    ereq: int | None = None
    econ: int | None = None
    eresp: int | None = None
    wretr: int | None = None
    wredis: int | None = None
    cli_abrt: int | None = None
    srv_abrt: int | None = None
    chkfail: int | None = None
    chkdown: int | None = None
    lastchg: int | None = None
    downtime: int | None = None
    throttle: int | None = None
    sid: int | None = None
    conn_tot: int | None = None
    req_tot: int | None = None
    qtime: int | None = None
    check_status: str | None = None
    check_code: int | None = None
    check_duration: int | None = None
    check_rise: int | None = None
    check_fall: int | None = None
    last_chk: str | None = None
    agent_status: str | None = None
    last_agt: str | None = None
    addr: str | None = None
    cookie: str | None = None
    mode: str | None = None
    algo: str | None = None

    @property
    def takes_connections(self) -> bool:
        """Whether balancing may choose this server now (UP, going down, or not checked; with a weight)."""
        return self.status.startswith(("UP", "no check", "OPEN")) and self.weight != 0


class LiveSession(Model):
    """One session of `show sess`: its client, and the server it is on (None: none yet).

    The dump is made in pieces while sessions come and go: it is no snapshot of one moment.
    """

    id: str
    client: str
    client_port: int
    frontend: str
    backend: str | None
    server: str | None


class ServerState(Model):
    """One row of `show servers state`.

    `weight` is the configured weight or that set since, `initial_weight` the configured one; `admin` is
    HAProxy's bit mask (0: none; 1, 2, 4, 32: maintenance by command, inherited, configured, by name
    resolution; 8, 16: drain by command, inherited).
    """

    section: str
    server: str
    puid: int
    address: str
    port: int
    operational: Literal["stopped", "starting", "running", "stopping"]
    admin: int
    weight: int
    initial_weight: int
    since_change_s: int


class StatsSource(Protocol):
    """A place that shows a proxy's figures. All methods may raise `EvidenceUnavailable`.

    `shows_sessions` says whether more than `show_stat` is visible there; where not, the other methods
    raise `NotVisible`.
    """

    where: str
    shows_sessions: bool

    def show_stat(self) -> tuple[ServerStat, ...]:
        """All rows of `show stat`."""

    def show_info(self) -> dict[str, str]:
        """Name → value of `show info`."""

    def show_sess(self) -> tuple[LiveSession, ...]:
        """The live sessions, without that of the stats socket itself."""

    def show_servers_state(self) -> tuple[ServerState, ...]:
        """The rows of `show servers state`."""


def open_stats(deployment: Deployment, proxy: Proxy) -> tuple[StatsSource, ...]:
    """The stats sources of a proxy, sockets before pages (they show more); nothing is contacted yet.

    Raises `InputError`: a URL that is none, or a password that cannot be had.
    """
    sources = [_open(deployment, proxy, url) for url in proxy.stats]
    return tuple(sorted(sources, key=lambda source: not source.shows_sessions))


def _open(deployment: Deployment, proxy: Proxy, url: str) -> StatsSource:
    if urlsplit(url).scheme in ("unix", "tcp"):
        return StatsSocket(url)
    password = deployment.reveal(proxy.stats_password) if proxy.stats_password else None
    tls = deployment.tls
    verify: bool | str = tls.verify
    if tls.verify and tls.ca_file:
        verify = str(deployment.path.parent / tls.ca_file)
    return StatsPage(url, proxy.stats_user, password, verify=verify)


class StatsSocket:
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
        """The answer to one command; `EvidenceUnavailable` where there is none or it is refused."""
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._connected() as connection:
                connection.sendall(command.encode() + b"\n")
                answer = self._read(connection, command, deadline)
        except TimeoutError as problem:
            why = f"no whole answer to {command!r} in {self._timeout_s:g} s"
            raise EvidenceUnavailable(self.where, why) from problem
        except OSError as problem:
            raise EvidenceUnavailable(self.where, problem.strerror or str(problem)) from problem
        text = answer.decode("utf-8", "replace")
        if text.startswith("Permission denied"):
            raise EvidenceUnavailable(self.where, f"{command!r} is refused: the socket's level is too low")
        if text.startswith("Unknown command"):
            raise EvidenceUnavailable(
                self.where, f"{command!r} is not known there: is it HAProxy's stats socket?"
            )
        return text

    def show_stat(self) -> tuple[ServerStat, ...]:
        """All rows of `show stat`."""
        return read_stat(self.ask("show stat"), self.where)

    def show_info(self) -> dict[str, str]:
        """Name → value of `show info`."""
        return read_info(self.ask("show info"))

    def show_sess(self) -> tuple[LiveSession, ...]:
        """The live sessions, without that of the stats socket itself."""
        return read_sessions(self.ask("show sess"))

    def show_servers_state(self) -> tuple[ServerState, ...]:
        """The rows of `show servers state`."""
        return read_servers_state(self.ask("show servers state"), self.where)

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


class StatsPage:
    """HAProxy's stats page, at `http(s)://HOST:PORT/PATH`: it shows counters, and nothing else."""

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

    def show_stat(self) -> tuple[ServerStat, ...]:
        """All rows of the page, as CSV."""
        try:
            answer = requests.get(
                self.where.removesuffix(";csv") + ";csv",
                auth=self._auth,
                verify=self._verify,
                timeout=self._timeout_s,
                allow_redirects=False,
                headers={"Connection": "close"},
            )
        except requests.RequestException as problem:
            raise EvidenceUnavailable(self.where, _plain(problem)) from problem
        if answer.status_code == 401:
            given = "stats_user and stats_password are" if self._auth else "no stats_user is"
            raise EvidenceUnavailable(
                self.where, f"asks for a password; {given} given in the deployment file"
            )
        if answer.status_code != 200:
            raise EvidenceUnavailable(self.where, f"answered {answer.status_code}, no stats page")
        return read_stat(answer.text, self.where)

    def show_info(self) -> dict[str, str]:
        """Not visible on a page."""
        raise self._not_visible("process information")

    def show_sess(self) -> tuple[LiveSession, ...]:
        """Not visible on a page."""
        raise self._not_visible("live sessions")

    def show_servers_state(self) -> tuple[ServerState, ...]:
        """Not visible on a page."""
        raise self._not_visible("servers' states")

    def _not_visible(self, what: str) -> NotVisible:
        return NotVisible(self.where, f"a stats page does not show {what}; a stats socket does")


def read_stat(text: str, where: str = "show stat") -> tuple[ServerStat, ...]:
    """The rows of CSV statistics; `EvidenceUnavailable` where `text` is something else."""
    header, _, body = text.lstrip().partition("\n")
    if not header.startswith("# pxname,svname,"):
        raise EvidenceUnavailable(where, f"is no HAProxy statistics: {header[:80]!r}")
    names = header.removeprefix("# ").strip().split(",")
    rows = [dict(zip(names, row, strict=False)) for row in csv.reader(body.splitlines()) if row]
    return tuple(_stat(row, where) for row in rows)


def _stat(row: Mapping[str, str], where: str) -> ServerStat:
    fields: dict[str, str | int | None] = {}
    for name, field in ServerStat.model_fields.items():
        if name in ("section", "name", "kind", "status"):
            continue
        value = row.get(name, "")
        if value == "":
            fields[name] = None
        elif int in get_args(field.annotation):
            try:
                fields[name] = int(value)
            except ValueError:
                raise EvidenceUnavailable(where, f"column {name} holds {value!r}, no number") from None
        else:
            fields[name] = value
    kind = _KINDS.get(row.get("type", ""))
    if kind is None:
        raise EvidenceUnavailable(where, f"a row of unknown type {row.get('type')!r}")
    return ServerStat.model_validate(
        {
            "section": row["pxname"],
            "name": row["svname"],
            "kind": kind,
            "status": row.get("status", ""),
            **fields,
        }
    )


def read_info(text: str) -> dict[str, str]:
    """Name → value of `show info`."""
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}


def read_sessions(text: str) -> tuple[LiveSession, ...]:
    """The sessions of `show sess`, without those of the stats socket itself (frontend GLOBAL)."""
    sessions = []
    for line in text.splitlines():
        identity, colon, rest = line.partition(": ")
        words = dict(word.split("=", 1) for word in rest.split() if "=" in word)
        if not colon or "src" not in words or words.get("fe") == "GLOBAL":
            continue
        client, _, port = words["src"].rpartition(":")
        sessions.append(
            LiveSession(
                id=identity.strip(),
                client=client,
                client_port=int(port) if port.isdigit() else 0,
                frontend=words.get("fe", ""),
                backend=_named(words.get("be")),
                server=_named(words.get("srv")),
            )
        )
    return tuple(sessions)


_OPERATIONAL: Mapping[str, Literal["stopped", "starting", "running", "stopping"]] = {
    "0": "stopped",
    "1": "starting",
    "2": "running",
    "3": "stopping",
}


def read_servers_state(text: str, where: str = "show servers state") -> tuple[ServerState, ...]:
    """The rows of `show servers state`; `EvidenceUnavailable` where `text` is something else."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("# ")), None)
    if header is None:
        raise EvidenceUnavailable(where, f"is no HAProxy servers' state: {text[:80]!r}")
    names = header.removeprefix("# ").split()
    rows = [line.split(" ") for line in lines if not line.startswith("#") and " " in line]
    return tuple(_state(dict(zip(names, row, strict=False)), where) for row in rows)


def _state(row: Mapping[str, str], where: str) -> ServerState:
    try:
        return ServerState(
            section=row["be_name"],
            server=row["srv_name"],
            puid=int(row["srv_id"]),
            address=row["srv_addr"],
            port=int(row["srv_port"]),
            operational=_OPERATIONAL[row["srv_op_state"]],
            admin=int(row["srv_admin_state"]),
            weight=int(row["srv_uweight"]),
            initial_weight=int(row["srv_iweight"]),
            since_change_s=int(row["srv_time_since_last_change"]),
        )
    except (KeyError, ValueError) as problem:
        raise EvidenceUnavailable(where, f"a row of servers' state cannot be read: {problem}") from problem


def _named(text: str | None) -> str | None:
    return None if text in (None, "", "<none>", "<NONE>") else text


def _plain(problem: requests.RequestException) -> str:
    """The reason alone: requests' own text quotes objects, and may quote a URL with credentials."""
    if isinstance(problem, requests.Timeout):
        return "no answer in time"
    if isinstance(problem, requests.exceptions.SSLError):
        return "its TLS certificate cannot be verified"
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
