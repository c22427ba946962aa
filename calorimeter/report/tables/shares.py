"""Tables of who served what: backends behind the proxy, engines on the broker."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.polled_rows import PROXY_TOTALS, engine_queue
from calorimeter.core.recorded.recorded_json import LARGEST
from calorimeter.core.verdict import Verdicts


def increments(counter: pd.Series) -> int:
    """Growth of a counter over its polls; after a reset (it fell) it counts from 0."""
    steps = np.diff(counter.to_numpy())
    return int(np.where(steps >= 0, steps, counter.to_numpy()[1:]).sum())


def backends_watched(servers: pd.DataFrame) -> pd.DataFrame:
    """Connections that each server got from all proxies between the first poll and the last.

    Columns: `group` (the proxy's section), `name`, `n`, `share`, `expected` (its weight's share).
    """
    rows = servers[~servers["server"].isin(PROXY_TOTALS)]
    return _counted(rows, "section", "server", "stot", weight="weight", counter="proxy")


def engines_watched(channels: pd.DataFrame) -> pd.DataFrame:
    """Messages delivered to each engine process between the first poll and the last, by topic.

    Columns as in `backends_watched`; `group` is the topic, `name` the process. A channel that was not
    there at the first poll counts from 0.
    """
    rows = channels.assign(
        topic=channels["queues"].map(engine_queue), process=channels["name"].map(_process)
    )
    rows = rows[rows["topic"] != ""]
    if rows.empty:
        return _counted(rows.assign(channel=""), "topic", "process", "deliver")
    rows = rows.assign(channel=rows["connection"] + " " + rows["queues"])
    began = rows["t_ns"].min()
    first = rows.groupby("channel")["t_ns"].min()
    late = rows[rows["t_ns"] == rows["channel"].map(first)]
    late = late[late["t_ns"] > began].assign(deliver=0, t_ns=began)
    return _counted(pd.concat([late, rows]), "topic", "process", "deliver", counter="channel")


def _process(name: str) -> str:
    """`heat-engine:<pid>:<uuid>` → `engine 4711`, the number being the process's."""
    parts = name.split(":")
    return f"engine {parts[1]}" if len(parts) == 3 and parts[0] == "heat-engine" else name or "(no name)"


def _counted(
    rows: pd.DataFrame,
    group: str,
    name: str,
    value: str,
    *,
    weight: str | None = None,
    counter: str | None = None,
) -> pd.DataFrame:
    columns = ["group", "name", "n", "share", "expected"]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    keys = [group, name, *([counter] if counter else [])]
    counted = rows.sort_values("t_ns", kind="stable").groupby(keys, observed=True)
    each = counted[value].apply(increments).rename("n").reset_index()
    each["weight"] = counted[weight].last().to_numpy() if weight else 1
    table = each.groupby([group, name], observed=True).agg(n=("n", "sum"), weight=("weight", "max"))
    table = table.reset_index().rename(columns={group: "group", name: "name"})
    whole = table.groupby("group")[["n", "weight"]].transform("sum")
    table["share"] = (table["n"] / whole["n"]).where(whole["n"] > 0)
    table["expected"] = (table["weight"] / whole["weight"]).where(whole["weight"] > 0)
    # A group that nothing was sent to has no shares: it is left out.
    return table[whole["n"] > 0].reset_index(drop=True)[columns]


def _prefixed(verdicts: Verdicts, gate: str, prefix: str) -> dict[str, float]:
    try:
        figures: Mapping[str, object] = verdicts.of(gate).judgement.figures
    except KeyError:
        return {}
    return {
        key.removeprefix(prefix): float(value)
        for key, value in figures.items()
        if key.startswith(prefix)
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= LARGEST
    }


def backends_judged(verdicts: Verdicts, deployment: Deployment | None) -> pd.DataFrame:
    """Shares of source addresses that gate S1 found, as in `backends_watched` (`n` is unknown)."""
    shares = _prefixed(verdicts, "S1", "share_")
    sections: dict[str, str] = {}
    for api in (deployment.rest, deployment.cfn) if deployment else ():
        if api is not None:
            sections |= {backend.name: api.proxy_section for backend in api.backends}
    table = pd.DataFrame(
        [
            {"group": sections.get(name, ""), "name": name, "n": None, "share": share}
            for name, share in shares.items()
        ],
        columns=["group", "name", "n", "share"],
    )
    table["expected"] = 1 / table.groupby("group")["name"].transform("size") if len(table) else None
    return table


def engines_judged(verdicts: Verdicts) -> pd.DataFrame:
    """Deliveries that gate E2 counted for each engine, as in `engines_watched`."""
    counts = _prefixed(verdicts, "E2", "deliveries_")
    table = pd.DataFrame(
        [{"group": "engine", "name": name, "n": int(n)} for name, n in counts.items()],
        columns=["group", "name", "n"],
    )
    table["share"] = table["n"] / table["n"].sum() if len(table) and table["n"].sum() else None
    table["expected"] = 1 / len(table) if len(table) else None
    return table
