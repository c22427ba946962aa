"""What a line of `watch/*.jsonl` holds, as rows. A poll that no watch can have written is an error.

Each function takes the object of one line and yields its rows. All raise ValueError, KeyError, TypeError
or AttributeError for a damaged one; `of_poll` makes None of that.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from typing import Any

from calorimeter.core.recorded.recorded_json import LARGEST, LATEST_NS, LONGEST_S

Row = dict[str, Any]
RowsOf = Callable[[Row], Iterator[Row]]

ENGINE_QUEUES = ("engine", "engine_worker")
"""Queues that all engines consume from; each engine also has queues of its own host and a fanout queue."""

PROXY_TOTALS = ("FRONTEND", "BACKEND")
"""Rows of the proxy's statistics that are totals, not servers."""

MOST_NAMES = 1000
"""Servers, queues, processes or workers of one run that are shown."""

LONGEST_TEXT = 4096


def of_poll(poll: Row | None, rows_of: RowsOf) -> list[Row] | None:
    """All rows of a poll, or None: in half a poll a server would seem to have vanished."""
    try:
        return None if poll is None else list(rows_of(poll))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def servers(poll: Row) -> Iterator[Row]:
    """Of `proxy.jsonl`: each server of a section, and the section's totals."""
    for row in poll["servers"]:
        yield {
            "t_ns": time_of(poll),
            "proxy": text(poll.get("proxy", "proxy")),
            "section": text(row["section"]),
            "server": text(row["server"]),
            "status": text(row.get("status")),
            "check_status": text(row.get("check_status")),
            **{key: count(row.get(key)) for key in ("scur", "stot", "qcur", "weight")},
        }


def queues(poll: Row) -> Iterator[Row]:
    """Of `broker.jsonl`: the messages and consumers of each queue."""
    for row in poll["queues"]:
        keys = ("messages_ready", "messages_unacknowledged", "consumers")
        counts = {key: count(row.get(key)) for key in keys}
        yield {"t_ns": time_of(poll), "name": text(row["name"]), **counts}


def channels(poll: Row) -> Iterator[Row]:
    """Of `broker.jsonl`: what was delivered on each channel that consumes; `queues` are its queues."""
    for row in poll.get("channels", ()):
        yield {
            "t_ns": time_of(poll),
            "connection": text(row["connection"]),
            "name": text(row.get("name")),
            "queues": " ".join(sorted(text(queue) for queue in row.get("queue_consumers", ()))),
            "deliver": count(row.get("deliver")),
        }


def processes(poll: Row) -> Iterator[Row]:
    """Of `processes.jsonl`: what each part used."""
    for row in poll["processes"]:
        yield {
            "t_ns": time_of(poll),
            "part": text(row["part"]),
            "cpu_s": seconds(row["cpu_s"]),
            "rss_bytes": count(row["rss_bytes"]),
        }


def workers(poll: Row) -> Iterator[Row]:
    """Of `generator.jsonl`: one window of one generating process."""
    yield {
        "t_ns": time_of(poll),
        "worker": text(poll["worker"]),
        "cpu_share": seconds(poll["cpu_share"]),
        "lag_p99_s": seconds(poll["lag_p99_s"]) if "lag_p99_s" in poll else math.nan,
        "connections": count(poll.get("connections")),
        "users": count(poll.get("users")),
        "length_s": seconds(poll.get("length_s", 1.0)),
        "why_invalid": text(poll.get("why_invalid")),
    }


def engine_queue(queues_of_channel: str) -> str:
    """The engines' queue that a channel consumes from, of its `queues`; empty if none."""
    return next((queue for queue in queues_of_channel.split() if queue in ENGINE_QUEUES), "")


def process(row: Row) -> str:
    """The process of a channel, as spans name it: from the name and the address of its connection."""
    role, _, rest = row["name"].partition(":")
    host = row["connection"].partition(" -> ")[0].rpartition(":")[0]
    return f"{role}[{rest.partition(':')[0]}]@{host}" if rest else row["name"]


def time_of(poll: Row) -> int:
    """When a poll was made, in ns since the epoch."""
    return _within(poll["t_ns"], LATEST_NS)


def moment(poll: Row) -> int | None:
    """When a poll was made; None if it does not say so."""
    try:
        return time_of(poll)
    except (ValueError, KeyError, TypeError):
        return None


def count(value: object) -> int:
    """A counter; 0 if it is missing or empty."""
    return _within(value, LARGEST) if isinstance(value, int | float | str) and value != "" else 0


def _within(value: Any, most: int) -> int:
    found = int(value) if not isinstance(value, str) or len(value) <= 20 else -1
    if not 0 <= found <= most:
        raise ValueError("a number that no poll can have")
    return found


def seconds(value: Any) -> float:
    """A number of seconds, or a share."""
    found = float(value)
    if not 0 <= found <= LONGEST_S:
        raise ValueError("a number that no poll can have")
    return found


def text(value: object) -> str:
    """A name, the same object each time: a run has few of them, and millions of rows."""
    found = "" if value is None else str(value)
    if len(found) > LONGEST_TEXT:
        raise ValueError("a name that no part of a deployment has")
    return sys.intern(found)
