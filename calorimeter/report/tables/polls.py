"""Tables of the watch's polls and of the ledger, on the time axis of the load."""

from __future__ import annotations

import numpy as np
import pandas as pd

from calorimeter.core.recorded.polled_rows import ENGINE_QUEUES, PROXY_TOTALS
from calorimeter.report.time_axis import TimeAxis

DOWN = ("DOWN", "MAINT", "NOLB", "DRAIN")
"""Prefixes of a server's status with which it gets no new connections."""


def _since(table: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """The rows from a second before the load to its end, with `t_s`."""
    t_s = (table["t_ns"] - time.start_ns) / 1e9
    kept = (t_s >= -1) & (t_s <= time.bins * time.bin_s + 1)
    return table[kept].assign(t_s=t_s[kept].clip(lower=0))


def queues(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """Messages in the engines' queues: `t_s`, `name`, `ready`, `unacknowledged`."""
    rows = _since(polled[polled["name"].isin(ENGINE_QUEUES)], time)
    named = rows.rename(columns={"messages_ready": "ready", "messages_unacknowledged": "unacknowledged"})
    return named[["t_s", "name", "ready", "unacknowledged"]].reset_index(drop=True)


def stacks(ledger: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """Stacks accepted and not yet seen in a final state: `t_s`, `in_progress`, at the ends of bins."""
    accepted = np.sort(ledger["accepted_ns"].to_numpy(dtype=np.int64))
    final = np.sort(ledger.loc[ledger["final_ns"] > 0, "final_ns"].to_numpy(dtype=np.int64))
    ends_s = (np.arange(time.bins) + 1) * time.bin_s
    ends = time.start_ns + ends_s * 1_000_000_000
    in_progress = np.searchsorted(accepted, ends, "right") - np.searchsorted(final, ends, "right")
    return pd.DataFrame({"t_s": ends_s.astype(float), "in_progress": in_progress})


def sessions(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """Open connections of each server, and waiting ones: `t_s`, `group`, `name`, `open`, `queued`.

    If several proxies use the same server, the name includes the proxy that counted the connections.
    """
    rows = _since(polled[~polled["server"].isin(PROXY_TOTALS)], time)
    if rows["proxy"].nunique() > 1:
        rows = rows.assign(server=rows["server"] + " @ " + rows["proxy"])
    named = rows.rename(columns={"section": "group", "server": "name", "scur": "open", "qcur": "queued"})
    return named[["t_s", "group", "name", "open", "queued"]].reset_index(drop=True)


def outages(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """When a proxy had a server out of its rotation, to within one poll: `name`, `from_s`, `to_s`."""
    rows = _since(polled[~polled["server"].isin(PROXY_TOTALS)], time).sort_values("t_s", kind="stable")
    found = []
    for (_, _, server), own in rows.groupby(["proxy", "section", "server"]):
        down = own["status"].str.startswith(DOWN).to_numpy()
        begins = np.flatnonzero(down & ~np.append(False, down[:-1]))
        ends = np.flatnonzero(down & ~np.append(down[1:], False))
        t_s = own["t_s"].to_numpy()
        for first, last in zip(begins, ends, strict=True):
            until = t_s[min(int(last) + 1, len(t_s) - 1)]
            found.append({"name": server, "from_s": float(t_s[first]), "to_s": float(until)})
    return pd.DataFrame(found, columns=["name", "from_s", "to_s"])


def workers(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """Health of each generating process: `t_s`, `worker`, `cpu_share` of one core, and `lag_p99_s`.

    The lag is that of its arrivals, or of its timer if users are closed; `connections` were made since the
    last poll, `users` were there at it.
    """
    columns = ["t_s", "worker", "cpu_share", "lag_p99_s", "connections", "users"]
    return _since(polled, time)[columns].reset_index(drop=True)


def invalid(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """When a generating process was the bottleneck: `worker`, `from_s`, `to_s`, `why`."""
    rows = _since(polled[polled["why_invalid"] != ""], time)
    began_s = (rows["t_ns"] - time.start_ns) / 1e9 - rows["length_s"]
    named = rows.assign(from_s=began_s.clip(lower=0), to_s=rows["t_s"]).rename(
        columns={"why_invalid": "why"}
    )
    return named[["worker", "from_s", "to_s", "why"]].reset_index(drop=True)


TOUCHING_S = 0.1
"""Spans with a smaller gap between them are joined: a window ends a little after the next one is due."""


def union(table: pd.DataFrame) -> pd.DataFrame:
    """Union of all spans, regardless of worker, as sorted, disjoint intervals: `from_s`, `to_s`."""
    found: list[dict[str, float]] = []
    for row in table.sort_values("from_s", kind="stable").to_dict("records"):
        if found and row["from_s"] <= found[-1]["to_s"] + TOUCHING_S:
            found[-1]["to_s"] = max(found[-1]["to_s"], row["to_s"])
        else:
            found.append({"from_s": row["from_s"], "to_s": row["to_s"]})
    return pd.DataFrame(found, columns=["from_s", "to_s"])


def processes(polled: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """Processor and memory of each part: `t_s`, `part`, `cpus` (processors used), `rss_bytes`.

    One row for each poll but the first. If a process restarted (its seconds fell), it counts from 0.
    """
    rows = _since(polled, time).sort_values(["part", "t_s"], kind="stable")
    parts = rows.groupby("part")
    used, passed = parts["cpu_s"].diff(), parts["t_s"].diff()
    used = used.where(used >= 0, rows["cpu_s"])
    table = rows.assign(cpus=used / passed)[passed > 0]
    return table[["t_s", "part", "cpus", "rss_bytes"]].reset_index(drop=True)
