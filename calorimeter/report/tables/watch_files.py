"""`watch/*.jsonl`, the polls made during a run, as tables; also of a run that was killed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import LARGEST, LATEST_NS, LONGEST_S
from calorimeter.core.recorded.rundir import RunDir

Row = dict[str, Any]
RowsOf = Callable[[Row], Iterator[Row]]

SERVERS = ("t_ns", "proxy", "section", "server", "status", "scur", "stot", "qcur", "check_status", "weight")
QUEUES = ("t_ns", "name", "messages_ready", "messages_unacknowledged", "consumers")
CHANNELS = ("t_ns", "connection", "name", "queues", "deliver")
PROCESSES = ("t_ns", "part", "cpu_s", "rss_bytes")
WORKERS = (
    *("t_ns", "worker", "cpu_share", "lag_p99_s", "connections", "users"),
    *("length_s", "why_invalid"),
)


MOST_ROWS = 2_000_000
"""Rows of one file that are read: a day of twenty servers, and 1 GB of memory."""

MOST_NAMES = 1000
"""Servers, queues, processes or workers of one run that are shown."""

LONGEST_TEXT = 4096


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
    """Read the files of a run. What is missing, truncated or no poll is a gap, not an error."""
    gaps: list[str] = []
    proxy = _rows(run, "proxy", _servers, "shares per backend under load", gaps)
    queues = _rows(run, "broker", _queues, "queue depth and shares per engine under load", gaps)
    channels = _rows(run, "broker", _channels, "", [])
    processes = _rows(run, "processes", _processes, "processor and memory of each part", gaps)
    workers = _rows(run, "generator", _workers, "how busy the generator's processes were", gaps)
    return WatchTables(
        servers=pd.DataFrame(proxy, columns=list(SERVERS)),
        queues=pd.DataFrame(queues, columns=list(QUEUES)),
        channels=pd.DataFrame(channels, columns=list(CHANNELS)),
        processes=pd.DataFrame(processes, columns=list(PROCESSES)),
        workers=pd.DataFrame(workers, columns=list(WORKERS)),
        gaps=tuple(gaps),
    )


def _rows(
    run: RunDir, name: str, rows_of: Callable[[Row], Iterator[Row]], shows: str, gaps: list[str]
) -> list[Row]:
    file = f"watch/{name}.jsonl"
    rows: list[Row] = []
    count, bad, unavailable = 0, 0, []
    try:
        for poll in recorded_json.lines(run.path / file, within=run.path):
            count += 1
            if poll is not None and "unavailable" in poll:
                unavailable.append(str(poll["unavailable"])[:LONGEST_TEXT])
            elif len(rows) >= MOST_ROWS:
                gaps.append(f"{file} holds more than {MOST_ROWS:,} rows: later polls were left out.")
                break
            else:
                # All rows of a poll or none: in half a poll a server would seem to have vanished.
                found = _of_poll(poll, rows_of)
                bad += found is None
                rows.extend(found or ())
    except MissingFileError:
        gaps.append(f"{file} is missing: this page cannot show {shows}.")
        return []
    except InputError as problem:
        gaps.append(f"{file} was left out from line {count + 1} on: it {problem.given}.")
    if unavailable:
        gaps.append(
            f"{file}: {len(unavailable)} of {count} polls got no answer; the first: {unavailable[0]}"
        )
    if bad:
        gaps.append(f"{file}: {bad} of {count} polls are truncated or unreadable and were left out.")
    names = {row["server"] if "server" in row else row.get("part", row.get("name")) for row in rows}
    if len(names) > MOST_NAMES:
        gaps.append(f"{file} names {len(names):,} parts, more than {MOST_NAMES:,}: it was left out.")
        return []
    if not rows:
        gaps.append(f"{file} holds no readable poll: this page cannot show {shows}.")
    return rows


def _of_poll(poll: Row | None, rows_of: RowsOf) -> list[Row] | None:
    """The rows of a poll; None if it is damaged, or holds what no poll can."""
    try:
        return None if poll is None else list(rows_of(poll))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _servers(poll: Row) -> Iterator[Row]:
    for row in poll["servers"]:
        yield {
            "t_ns": _time(poll),
            "proxy": _text(poll.get("proxy", "proxy")),
            "section": _text(row["section"]),
            "server": _text(row["server"]),
            "status": _text(row.get("status")),
            "check_status": _text(row.get("check_status")),
            **{key: _count(row.get(key)) for key in ("scur", "stot", "qcur", "weight")},
        }


def _queues(poll: Row) -> Iterator[Row]:
    for row in poll["queues"]:
        counts = {key: _count(row.get(key)) for key in QUEUES[2:]}
        yield {"t_ns": _time(poll), "name": _text(row["name"]), **counts}


def _channels(poll: Row) -> Iterator[Row]:
    for row in poll.get("channels", ()):
        yield {
            "t_ns": _time(poll),
            "connection": _text(row["connection"]),
            "name": _text(row.get("name")),
            "queues": " ".join(sorted(_text(queue) for queue in row.get("queue_consumers", ()))),
            "deliver": _count(row.get("deliver")),
        }


def _processes(poll: Row) -> Iterator[Row]:
    for row in poll["processes"]:
        yield {
            "t_ns": _time(poll),
            "part": _text(row["part"]),
            "cpu_s": _number(row["cpu_s"]),
            "rss_bytes": _count(row["rss_bytes"]),
        }


def _workers(poll: Row) -> Iterator[Row]:
    yield {
        "t_ns": _time(poll),
        "worker": _text(poll["worker"]),
        "cpu_share": _number(poll["cpu_share"]),
        "lag_p99_s": _number(poll["lag_p99_s"]) if "lag_p99_s" in poll else math.nan,
        "connections": _count(poll.get("connections")),
        "users": _count(poll.get("users")),
        "length_s": _number(poll.get("length_s", 1.0)),
        "why_invalid": _text(poll.get("why_invalid")),
    }


def _time(poll: Row) -> int:
    return _within(poll["t_ns"], LATEST_NS)


def _count(value: object) -> int:
    return _within(value, LARGEST) if isinstance(value, int | float | str) and value != "" else 0


def _within(value: Any, most: int) -> int:
    found = int(value) if not isinstance(value, str) or len(value) <= 20 else -1
    if not 0 <= found <= most:
        raise ValueError("a number that no poll can have")
    return found


def _number(value: Any) -> float:
    found = float(value)
    if not 0 <= found <= LONGEST_S:
        raise ValueError("a number that no poll can have")
    return found


def _text(value: object) -> str:
    """A name, the same object each time: a run has few of them, and millions of rows."""
    text = "" if value is None else str(value)
    if len(text) > LONGEST_TEXT:
        raise ValueError("a name that no part of a deployment has")
    return sys.intern(text)
