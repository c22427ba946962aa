"""Tables of a load: rates, errors, lateness of the generator; and whether the load was steady."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span
from calorimeter.core.recorded.sample_tables import dropped, ns, succeeded
from calorimeter.core.statistics import Floats
from calorimeter.report.time_axis import TimeAxis


def rates(samples: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """What was offered and what was answered, one row for each bin.

    Columns: `t_s`, then per second `offered`, `achieved` (answers as expected), `errors` and
    `dropped`; `in_flight` at the end of the bin. Offered and dropped count by when a request was
    due, the others by when it ended.
    """
    scheduled, response = ns(samples, "scheduled_ns"), ns(samples, "response_ns")
    good, never = succeeded(samples), dropped(samples)
    done = scheduled + response
    sent = done - ns(samples, "service_ns")
    began = time.counts(sent[~never]).cumsum()
    ended = time.counts(done[~never]).cumsum()
    return pd.DataFrame(
        {
            "t_s": time.middles_s,
            "offered": time.counts(scheduled) / time.bin_s,
            "achieved": time.counts(done[good]) / time.bin_s,
            "errors": time.counts(done[~good & ~never]) / time.bin_s,
            "dropped": time.counts(scheduled[never]) / time.bin_s,
            "in_flight": began - ended,
        }
    )


def errors(samples: pd.DataFrame) -> pd.DataFrame:
    """Requests of the whole run that were not answered as expected.

    Columns: `operation`, `error`, `status`, `n`, `share` (of all requests of the operation) and `p50`
    (median of the time it took, in s).
    """
    bad = samples[~succeeded(samples)]
    if bad.empty:
        return pd.DataFrame(columns=["operation", "error", "status", "n", "share", "p50"])
    due = samples["kind"].value_counts()
    grouped = bad.groupby(["kind", "error", "status"], observed=True)["response_ns"]
    table = grouped.agg(n="size", p50="median").reset_index()
    table["p50"] = (table["p50"] / 1e9).where(table["error"].astype(str) != "dropped")
    table["share"] = table["n"] / table["kind"].map(due).astype("int64")
    table["error"] = table["error"].astype(str)
    table["kind"] = table["kind"].astype(str)
    ordered = table.sort_values(["n", "kind", "error", "status"], ascending=[False, True, True, True])
    return ordered.rename(columns={"kind": "operation"}).reset_index(drop=True)[
        ["operation", "error", "status", "n", "share", "p50"]
    ]


def generator(samples: pd.DataFrame, time: TimeAxis) -> pd.DataFrame:
    """How late requests were sent: `t_s`, `n`, `lag_p50`, `lag_p99` (if n allows), `lag_max`, in s."""
    sent = samples.loc[~dropped(samples), ["scheduled_ns", "response_ns", "service_ns"]]
    lag = np.maximum(ns(sent, "response_ns") - ns(sent, "service_ns"), 0)
    groups = statistics.sorted_groups(lag, time.of(ns(sent, "scheduled_ns")), time.bins)
    return pd.DataFrame(
        {
            "t_s": time.middles_s,
            "n": [len(group) for group in groups],
            "lag_p50": [statistics.percentile(group, 50) / 1e9 for group in groups],
            "lag_p99": [statistics.percentile(group, 99) / 1e9 for group in groups],
            "lag_max": [float(group[-1]) / 1e9 if len(group) else math.nan for group in groups],
        }
    )


MOST_POINTS = 4000
"""Successes that are drawn at most, and failures: more points than these become a blot."""


def points(samples: pd.DataFrame, start_ns: int) -> pd.DataFrame:
    """Single requests to draw: `t_s`, `response` in s, `ok`; every k-th if there are too many."""
    sent = samples.loc[~dropped(samples), ["scheduled_ns", "response_ns", "error"]]
    good = sent[succeeded(sent)]
    bad = sent[~succeeded(sent)]
    chosen = pd.concat([part.iloc[:: max(1, math.ceil(len(part) / MOST_POINTS))] for part in (good, bad)])
    return pd.DataFrame(
        {
            "t_s": (chosen["scheduled_ns"] - start_ns) / 1e9,
            "response": chosen["response_ns"] / 1e9,
            "ok": succeeded(chosen),
        }
    ).reset_index(drop=True)


@dataclass(frozen=True, slots=True)
class Steadiness:
    """Where the measured part of a run is steady: `steady_part`, all of it if nothing else is known.

    `found` is whether a steady state was found; `why` says in a sentence what was found.
    """

    steady_part: Span
    found: bool
    why: str


def steadiness(samples: pd.DataFrame, time: TimeAxis, measured: Span) -> Steadiness:
    """Find the steady part of the measured part by `statistics.WARM_UP_RULE`.

    Both the achieved rate and the median response time have to be steady; the later of the two
    beginnings counts.
    """
    bins = time.within(measured)
    bins = slice(bins.start, max(bins.stop, 1))
    series = {
        "the achieved rate": rates(samples, time)["achieved"].to_numpy(),
        "the median response time": _medians(samples, time),
    }
    settled = 0
    for name, values in series.items():
        found = statistics.steady(values[bins])
        if not found.settled:
            return Steadiness(measured, False, f"No steady state was found: {name} {found.reason}.")
        settled = max(settled, found.first)
    if not settled:
        return Steadiness(measured, True, "The measured part is steady from its beginning.")
    first_ns = time.start_ns + (bins.start + settled) * time.bin_s * 1_000_000_000
    why = f"The measured part is steady after its first {(first_ns - measured.first_ns) / 1e9:.0f} s."
    return Steadiness(Span(first_ns, measured.last_ns), True, why)


def _medians(samples: pd.DataFrame, time: TimeAxis) -> Floats:
    """The median of each bin, however few samples it holds: used to find the warm-up, never shown."""
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    groups = statistics.sorted_groups(
        ns(chosen, "response_ns"), time.of(ns(chosen, "scheduled_ns")), time.bins
    )
    return np.array([float(group[len(group) // 2]) if len(group) else math.nan for group in groups])
