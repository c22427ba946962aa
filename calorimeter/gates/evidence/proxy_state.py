"""Parses HAProxy's statistics into records: counters, live sessions, states of servers.

Columns are found by their names in the header, so columns that newer versions add are ignored (HAProxy
management guide, section 9.1). This module does not touch the network; `proxy_stats` fetches the texts.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from typing import Literal, get_args

from calorimeter.core.bounds import is_digits
from calorimeter.core.toml import Model
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

_KINDS: Mapping[str, Literal["frontend", "backend", "server", "listener"]] = {
    "0": "frontend",
    "1": "backend",
    "2": "server",
    "3": "listener",
}


class ServerStat(Model):
    """One row of `show stat`; a figure is None if HAProxy does not keep it for this kind of row.

    Names are HAProxy's: `scur` current sessions, `stot` all sessions so far, `qcur`/`qmax` queued now/at
    most, `econ` failed connections, `eresp` failed answers, `wretr` retries, `wredis` redispatches,
    `dreq`/`dresp` denied, `ereq` bad requests, `chkfail` failed checks, `chkdown` transitions to DOWN,
    `lastchg` seconds since the last change of state, `downtime` seconds, `check_duration` ms, `slim`
    maxconn, `qlimit` maxqueue, `lbtot` times chosen by balancing, `qtime` ms in queue (mean of the last
    1024).
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
        """Whether balancing may choose this server: UP, going down or not checked, and with a weight."""
        return self.status.startswith(("UP", "no check", "OPEN")) and self.weight != 0


class LiveSession(Model):
    """One session of `show sess`: its client, and its server (None: not chosen yet).

    HAProxy writes the list in pieces while sessions begin and end: it is no snapshot of one moment.
    """

    id: str
    client: str
    client_port: int
    frontend: str
    backend: str | None
    server: str | None


class ServerState(Model):
    """One row of `show servers state`.

    `weight` is the current weight, `initial_weight` the configured one; `admin` is HAProxy's bit mask (0:
    none; 1, 2, 4, 32: maintenance by command, inherited, configured, by name resolution; 8, 16: drain by
    command, inherited).
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


def read_stat(text: str, where: str = "show stat") -> tuple[ServerStat, ...]:
    """The rows of CSV statistics. Raises `EvidenceUnavailable` if `text` is something else."""
    header, _, body = text.lstrip().partition("\n")
    if not header.startswith("# pxname,svname,"):
        raise EvidenceUnavailable(where, f"is not HAProxy statistics: {header[:80]!r}")
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
                raise EvidenceUnavailable(where, f"column {name} holds {value!r}, not a number") from None
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


def read_tables(text: str) -> dict[str, int]:
    """Name → entries of `show table`, whose lines are `# table: NAME, type: ip, size:102400, used:3`."""
    found = {}
    for line in text.splitlines():
        fields = [word.strip().partition(":") for word in line.removeprefix("# ").split(",")]
        values = {name.strip(): value.strip() for name, _, value in fields}
        if line.startswith("# table:") and is_digits(values.get("used", "")[:18]):
            found[values["table"]] = int(values["used"][:18])
    return found


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
                client_port=int(port[:6]) if is_digits(port) else 0,
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
    """The rows of `show servers state`. Raises `EvidenceUnavailable` if `text` is something else."""
    lines = [line for line in text.splitlines() if line.strip()]
    header = next((line for line in lines if line.startswith("# ")), None)
    if header is None:
        raise EvidenceUnavailable(where, f"is not HAProxy's servers state: {text[:80]!r}")
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
        raise EvidenceUnavailable(where, f"a row of servers state cannot be read: {problem}") from problem


def _named(text: str | None) -> str | None:
    return None if text in (None, "", "<none>", "<NONE>") else text
