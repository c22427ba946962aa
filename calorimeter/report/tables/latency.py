"""Tables of response and service time: over time, per operation, as a curve and as a heat map."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from calorimeter.core import statistics
from calorimeter.core.recorded.measured_part import Span, due_within
from calorimeter.core.recorded.sample_tables import Mask, dropped, ns, succeeded
from calorimeter.core.statistics import Ints
from calorimeter.report.time_axis import BIN_LADDER_S, TimeAxis, axis

PERCENTS = (50.0, 90.0, 99.0, 99.9)
"""The percentiles of the tables."""

CURVE_PERCENTS = (
    *(float(p) for p in range(1, 90)),
    *(90 + p / 5 for p in range(45)),
    *(99 + p / 50 for p in range(45)),
    *(99.9 + p / 500 for p in range(46)),
)
"""The percentiles of the percentile curve: even steps in each decade towards 99.99."""


def latencies(
    samples: pd.DataFrame, time: TimeAxis, percents: tuple[float, ...] = PERCENTS
) -> pd.DataFrame:
    """Response time of successes by when they were due: `t_s`, `n` and a column per percentile, in s."""
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    groups = statistics.sorted_groups(
        ns(chosen, "response_ns"), time.of(ns(chosen, "scheduled_ns")), time.bins
    )
    table = pd.DataFrame({"t_s": time.middles_s, "n": [len(group) for group in groups]})
    for percent in percents:
        table[column(percent)] = [statistics.percentile(group, percent) / 1e9 for group in groups]
    return table


def against_load(samples: pd.DataFrame, time: TimeAxis, part: Span) -> pd.DataFrame:
    """Answers against the offered load, one row for each bin that lies wholly in a part of the run.

    Columns, per second: `offered`, `achieved`, `errors`, `dropped`, all by when a request was due; then
    `n` successes and their `p50`, `p90`, `p99` in s (NaN if there are too few).
    """
    due = ns(samples, "scheduled_ns")
    good, never = succeeded(samples), dropped(samples)
    table = latencies(samples, time, (50.0, 90.0, 99.0))
    for name, chosen in (
        ("offered", np.ones(len(due), np.bool_)),
        ("achieved", good),
        ("errors", ~good & ~never),
        ("dropped", never),
    ):
        table[name] = time.counts(due[chosen]) / time.bin_s
    order = ["t_s", "offered", "achieved", "errors", "dropped", "n", "p50", "p90", "p99"]
    return table.iloc[time.within(part)][order].reset_index(drop=True)


def latency_axis(samples: pd.DataFrame, time: TimeAxis, percent: float) -> TimeAxis:
    """Bins wide enough that half of them can show a percentile, but at least ten of them."""
    needed = statistics.samples_needed(percent)
    for width in BIN_LADDER_S:
        if width < time.bin_s:
            continue
        wider = axis(samples, least_s=width)
        if wider.bins < 20 or np.median(wider.counts(ns(samples, "scheduled_ns"))) >= needed:
            return wider
    return time


def column(percent: float) -> str:
    """The column name of a percentile: p50, p99.9."""
    return f"p{percent:g}"


def operations(samples: pd.DataFrame, part: Span, blocks: TimeAxis | None) -> pd.DataFrame:
    """One row for each operation and one for all of them, of the requests due in a part of the run.

    Columns: `operation`, `n` (all that were due), `ok`, `failed` (sent, but not ok), `dropped`,
    `rate` (ok per second), and of the successes in s: `response_p50` … and `service_p50` …; NaN if
    there are too few samples (`statistics.samples_needed`). `response_p50_low`, `_high` and so on are the
    bootstrap's bounds over `blocks`; NaN if there are too few of those, or None was given.
    """
    chosen = due_within(samples[["scheduled_ns", "response_ns", "service_ns", "kind", "error"]], part)
    good, never = succeeded(chosen), dropped(chosen)
    kinds = [str(kind) for kind in chosen["kind"].cat.categories]
    codes = chosen["kind"].cat.codes.to_numpy()
    fine = np.where(good, codes, -1)
    times = {
        name: statistics.sorted_groups(ns(chosen, f"{name}_ns"), fine, len(kinds))
        for name in ("response", "service")
    }
    block = blocks.of(ns(chosen, "scheduled_ns")) if blocks else np.full(len(chosen), -1)
    merged = np.zeros((blocks.bins if blocks else 0, statistics.CELLS), dtype=np.int64)
    rows = []
    for code, kind in enumerate(kinds):
        groups = {name: groups[code] for name, groups in times.items()}
        row = _operation(kind, codes == code, good, never, groups, part)
        in_block = np.where(fine == code, block, -1)
        held = statistics.histograms(ns(chosen, "response_ns"), in_block, len(merged))
        merged += held
        rows.append(row | _bounds(row, held))
    if len(kinds) > 1:
        everything = {name: np.sort(np.concatenate(groups)) for name, groups in times.items()}
        row = _operation("all", np.ones(len(chosen), np.bool_), good, never, everything, part)
        rows.append(row | _bounds(row, merged))
    return pd.DataFrame([row for row in rows if row["n"]])


def _bounds(row: dict[str, float | str], windows: Ints) -> dict[str, float | str]:
    shown = [p for p in PERCENTS if math.isfinite(float(row[f"response_{column(p)}"]))]
    bounds = statistics.pooled_bounds(windows, shown, seed=3)
    return {
        f"response_{column(percent)}_{end}": bound / 1e9
        for percent in PERCENTS
        for end, bound in zip(("low", "high"), bounds.get(percent, (math.nan, math.nan)), strict=True)
    }


def _operation(
    name: str, own: Mask, good: Mask, never: Mask, ordered: dict[str, Ints], part: Span
) -> dict[str, float | str]:
    n, ok, unsent = int(own.sum()), int((own & good).sum()), int((own & never).sum())
    counts = {"n": n, "ok": ok, "failed": n - ok - unsent, "dropped": unsent}
    return {
        **{"operation": name, **counts, "rate": ok / part.length_s if part.length_s else 0.0},
        **{
            f"{kind}_{column(percent)}": statistics.percentile(values, percent) / 1e9
            for kind, values in ordered.items()
            for percent in PERCENTS
        },
    }


def curve(samples: pd.DataFrame, part: Span) -> pd.DataFrame:
    """The percentile curve of successes: `percent`, `response` and `service` in s, as far as n allows."""
    chosen = due_within(samples, part)
    chosen = chosen[succeeded(chosen)]
    ordered = {name: np.sort(ns(chosen, f"{name}_ns")) for name in ("response", "service")}
    shown = [percent for percent in CURVE_PERCENTS if statistics.samples_needed(percent) <= len(chosen)]
    table = pd.DataFrame({"percent": shown})
    for name, values in ordered.items():
        table[name] = [statistics.percentile(values, percent) / 1e9 for percent in shown]
    return table


def heat(samples: pd.DataFrame, time: TimeAxis, rows: int = 48) -> pd.DataFrame:
    """How many successes fell in each cell of time × response time.

    The index is the lower edge of a row in s, in even steps of the logarithm; the columns are the
    bins' middles in s. The table is empty if nothing succeeded.
    """
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    if chosen.empty:
        return pd.DataFrame()
    taken = np.maximum(ns(chosen, "response_ns") / 1e9, 1e-6)
    low, high = math.floor(math.log10(taken.min()) * 4) / 4, math.ceil(math.log10(taken.max()) * 4) / 4
    step = max(high - low, 0.25) / rows
    level = np.minimum(((np.log10(taken) - low) / step).astype(np.int64), rows - 1)
    bins = time.of(ns(chosen, "scheduled_ns"))
    inside = bins >= 0
    cells = np.bincount(level[inside] * time.bins + bins[inside], minlength=rows * time.bins)
    edges = 10 ** (low + step * np.arange(rows))
    return pd.DataFrame(cells.reshape(rows, time.bins), index=edges, columns=time.middles_s)
