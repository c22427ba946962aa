"""`watch/*.jsonl`, the polls made during a run, as tables; also of a run that was killed."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from calorimeter.core.errors import InputError
from calorimeter.core.files import MissingFileError
from calorimeter.core.recorded import polled_rows, recorded_json
from calorimeter.core.recorded.polled_rows import LONGEST_TEXT, MOST_NAMES, Row, RowsOf
from calorimeter.core.recorded.rundir import RunDir

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
    proxy = _rows(run, "proxy", polled_rows.servers, "shares per backend under load", gaps)
    queues = _rows(run, "broker", polled_rows.queues, "queue depth and shares per engine under load", gaps)
    channels = _rows(run, "broker", polled_rows.channels, "", [])
    processes = _rows(run, "processes", polled_rows.processes, "processor and memory of each part", gaps)
    workers = _rows(run, "generator", polled_rows.workers, "how busy the generator's processes were", gaps)
    return WatchTables(
        servers=pd.DataFrame(proxy, columns=list(SERVERS)),
        queues=pd.DataFrame(queues, columns=list(QUEUES)),
        channels=pd.DataFrame(channels, columns=list(CHANNELS)),
        processes=pd.DataFrame(processes, columns=list(PROCESSES)),
        workers=pd.DataFrame(workers, columns=list(WORKERS)),
        gaps=tuple(gaps),
    )


def _rows(run: RunDir, name: str, rows_of: RowsOf, shows: str, gaps: list[str]) -> list[Row]:
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
                found = polled_rows.of_poll(poll, rows_of)
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
