"""`watch/*.jsonl`, the polls made during a run, as tables; also of a run that was killed."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from calorimeter.core.rundir import RunDir

Row = dict[str, Any]

SERVERS = ("t_ns", "proxy", "section", "server", "status", "scur", "stot", "qcur", "check_status", "weight")
QUEUES = ("t_ns", "name", "messages_ready", "messages_unacknowledged", "consumers")
CHANNELS = ("t_ns", "connection", "name", "queues", "deliver")
PROCESSES = ("t_ns", "part", "cpu_s", "rss_bytes")
WORKERS = (
    *("t_ns", "worker", "cpu_share", "lag_p99_s", "connections", "users"),
    *("length_s", "why_invalid"),
)


@dataclass(frozen=True, slots=True)
class WatchTables:
    """Tables of polls, empty if there were none; `gaps` are sentences about what is missing."""

    servers: pd.DataFrame
    queues: pd.DataFrame
    channels: pd.DataFrame
    processes: pd.DataFrame
    workers: pd.DataFrame
    gaps: tuple[str, ...] = field(default=())


def read(run: RunDir) -> WatchTables:
    """Read the files of a run. A missing file or a truncated line is a gap, not an error."""
    gaps: list[str] = []
    folder = run.path / "watch"
    proxy = _rows(folder / "proxy.jsonl", _servers, "shares per backend under load", gaps)
    broker = folder / "broker.jsonl"
    queues = _rows(broker, _queues, "queue depth and shares per engine under load", gaps)
    channels = _rows(broker, _channels, "", []) if broker.exists() else []
    processes = _rows(folder / "processes.jsonl", _processes, "processor and memory of each part", gaps)
    workers = _rows(folder / "generator.jsonl", _workers, "how busy the generator's processes were", gaps)
    return WatchTables(
        servers=pd.DataFrame(proxy, columns=list(SERVERS)),
        queues=pd.DataFrame(queues, columns=list(QUEUES)),
        channels=pd.DataFrame(channels, columns=list(CHANNELS)),
        processes=pd.DataFrame(processes, columns=list(PROCESSES)),
        workers=pd.DataFrame(workers, columns=list(WORKERS)),
        gaps=tuple(gaps),
    )


def _rows(path: Path, rows_of: Callable[[Row], Iterator[Row]], shows: str, gaps: list[str]) -> list[Row]:
    name = f"watch/{path.name}"
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        gaps.append(f"{name} is missing: this page cannot show {shows}.")
        return []
    rows: list[Row] = []
    bad, unavailable = 0, []
    for line in lines:
        try:
            poll = json.loads(line)
            if "unavailable" in poll:
                unavailable.append(str(poll["unavailable"]))
                continue
            # All rows of a poll or none: in half a poll a server would seem to have vanished.
            rows.extend(list(rows_of(poll)))
        except (ValueError, KeyError, TypeError, AttributeError):
            bad += 1
    if unavailable:
        gaps.append(
            f"{name}: {len(unavailable)} of {len(lines)} polls got no answer; the first: {unavailable[0]}"
        )
    if bad:
        gaps.append(f"{name}: {bad} of {len(lines)} polls are truncated or unreadable and were left out.")
    if not rows:
        gaps.append(f"{name} holds no readable poll: this page cannot show {shows}.")
    return rows


def _servers(poll: Row) -> Iterator[Row]:
    for row in poll["servers"]:
        yield {
            "t_ns": int(poll["t_ns"]),
            "proxy": str(poll.get("proxy", "proxy")),
            "section": str(row["section"]),
            "server": str(row["server"]),
            "status": str(row.get("status", "")),
            "check_status": str(row.get("check_status") or ""),
            **{key: _count(row.get(key)) for key in ("scur", "stot", "qcur", "weight")},
        }


def _queues(poll: Row) -> Iterator[Row]:
    for row in poll["queues"]:
        counts = {key: _count(row.get(key)) for key in QUEUES[2:]}
        yield {"t_ns": int(poll["t_ns"]), "name": str(row["name"]), **counts}


def _channels(poll: Row) -> Iterator[Row]:
    for row in poll.get("channels", ()):
        yield {
            "t_ns": int(poll["t_ns"]),
            "connection": str(row["connection"]),
            "name": str(row.get("name") or ""),
            "queues": " ".join(sorted(str(queue) for queue in row.get("queue_consumers", ()))),
            "deliver": _count(row.get("deliver")),
        }


def _processes(poll: Row) -> Iterator[Row]:
    for row in poll["processes"]:
        yield {
            "t_ns": int(poll["t_ns"]),
            "part": str(row["part"]),
            "cpu_s": float(row["cpu_s"]),
            "rss_bytes": int(row["rss_bytes"]),
        }


def _workers(poll: Row) -> Iterator[Row]:
    yield {
        "t_ns": int(poll["t_ns"]),
        "worker": str(poll["worker"]),
        "cpu_share": float(poll["cpu_share"]),
        "lag_p99_s": float(poll.get("lag_p99_s", math.nan)),
        "connections": _count(poll.get("connections")),
        "users": _count(poll.get("users")),
        "length_s": float(poll.get("length_s", 1.0)),
        "why_invalid": str(poll.get("why_invalid") or ""),
    }


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float | str) and value != "" else 0
