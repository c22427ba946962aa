"""Tables of what the load met: rates, latencies, operations, errors. Each is pure and tidy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports import statistics
from reports.statistics import Floats, Ints

BIN_LADDER_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400)
"""Bin widths in seconds that a reader can think in."""

MOST_BINS = 300
"""More bins than these cannot be told apart in a figure."""

PERCENTS = (50.0, 90.0, 99.0, 99.9)
"""The percentiles of the tables."""

CURVE_PERCENTS = (
    *(float(p) for p in range(1, 90)),
    *(90 + p / 5 for p in range(45)),
    *(99 + p / 50 for p in range(45)),
    *(99.9 + p / 500 for p in range(46)),
)
"""The percentiles of the percentile curve: even steps in each decade towards 99.99."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Axis:
    """Time in bins of `bin_s` from `start_ns`; the last, incomplete bin is not one of them."""

    start_ns: int
    bin_s: int
    bins: int

    @property
    def middles_s(self) -> Floats:
        """The middle of each bin, in seconds since the start."""
        return np.asarray((np.arange(self.bins) + 0.5) * self.bin_s, dtype=np.float64)

    def of(self, times_ns: Ints) -> Ints:
        """The bin of each time, −1 outside."""
        bins = (times_ns - self.start_ns) // (self.bin_s * 1_000_000_000)
        bins[(bins < 0) | (bins >= self.bins)] = -1
        return bins

    def counts(self, times_ns: Ints) -> Ints:
        """How many of the times lie in each bin."""
        bins = self.of(times_ns)
        return np.bincount(bins[bins >= 0], minlength=self.bins).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a run that its tables are made from: [`first_ns`, `last_ns`], and why."""

    first_ns: int
    last_ns: int
    steady: bool
    why: str

    @property
    def length_s(self) -> float:
        """Its length, at least a millisecond."""
        return max((self.last_ns - self.first_ns) / 1e9, 1e-3)


def axis(samples: pd.DataFrame, *, least_s: int = 1) -> Axis:
    """Bins over a run, from the first request due to the last answer, at most `MOST_BINS`."""
    start = int(samples["scheduled_ns"].min())
    length_s = (int((samples["scheduled_ns"] + samples["response_ns"]).max()) - start) / 1e9
    fits = [width for width in BIN_LADDER_S if width >= least_s and length_s <= width * MOST_BINS]
    width = fits[0] if fits else BIN_LADDER_S[-1]
    return Axis(start, width, max(1, int(length_s // width)))


def succeeded(samples: pd.DataFrame) -> Mask:
    """Which requests got the answer that their operation expects."""
    return _is(samples["error"], "")


def dropped(samples: pd.DataFrame) -> Mask:
    """Which requests were due but never sent, because too many were in flight."""
    return _is(samples["error"], "dropped")


def _is(column: pd.Series, name: str) -> Mask:
    names = list(column.cat.categories)
    if name not in names:
        return np.zeros(len(column), dtype=np.bool_)
    return np.asarray(column.cat.codes.to_numpy() == names.index(name))


def rates(samples: pd.DataFrame, time: Axis) -> pd.DataFrame:
    """What was offered and what came back, one row a bin.

    Columns: `t_s`, then per second `offered`, `achieved` (answers as expected), `errors` and
    `dropped`; `in_flight` at the end of the bin. Offered and dropped count by when a request was
    due, the others by when it ended.
    """
    scheduled, response = _ns(samples, "scheduled_ns"), _ns(samples, "response_ns")
    good, never = succeeded(samples), dropped(samples)
    done = scheduled + response
    sent = done - _ns(samples, "service_ns")
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


def latencies(samples: pd.DataFrame, time: Axis, percents: tuple[float, ...] = PERCENTS) -> pd.DataFrame:
    """Response time of successes by when they were due: `t_s`, `n` and a column a percentile, in s."""
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    groups = statistics.sorted_groups(
        _ns(chosen, "response_ns"), time.of(_ns(chosen, "scheduled_ns").copy()), time.bins
    )
    table = pd.DataFrame({"t_s": time.middles_s, "n": [len(group) for group in groups]})
    for percent in percents:
        table[column(percent)] = [statistics.percentile(group, percent) / 1e9 for group in groups]
    return table


def latency_axis(samples: pd.DataFrame, time: Axis, percent: float) -> Axis:
    """Bins wide enough that half of them can show a percentile, but at least ten of them."""
    needed = statistics.needed(percent)
    for width in BIN_LADDER_S:
        if width < time.bin_s:
            continue
        wider = axis(samples, least_s=width)
        if wider.bins < 20 or np.median(wider.counts(_ns(samples, "scheduled_ns"))) >= needed:
            return wider
    return time


def column(percent: float) -> str:
    """The column name of a percentile: p50, p99.9."""
    return f"p{percent:g}"


NOT_MEASURED = ("warm_up", "clean_up")
"""Phases that a scenario itself sets apart."""


def measured(samples: pd.DataFrame) -> Mask:
    """Which samples are of a phase that is to be measured; all of them where none is."""
    left_out = np.zeros(len(samples), dtype=np.bool_)
    for phase in NOT_MEASURED:
        left_out |= _is(samples["phase"], phase)
    return ~left_out if not left_out.all() else ~np.zeros_like(left_out)


def window(samples: pd.DataFrame, time: Axis) -> Window:
    """The steady part of the measured phases by `statistics.WARM_UP_RULE`, else all of them.

    Both the achieved rate and the median response time have to be steady; the later of the two
    beginnings counts.
    """
    scheduled = _ns(samples, "scheduled_ns")[measured(samples)]
    first, last = int(scheduled.min()), int(scheduled.max())
    width = time.bin_s * 1_000_000_000
    bins = slice(-(-(first - time.start_ns) // width), max(1, (last - time.start_ns) // width))
    series = {
        "the achieved rate": rates(samples, time)["achieved"].to_numpy(),
        "the median response time": _medians(samples, time),
    }
    begins = 0
    for name, values in series.items():
        found = statistics.steady(values[bins])
        if not found.settled:
            return Window(first, last, False, f"No steady state: {name}: {found.reason}.")
        begins = max(begins, found.first)
    if not begins:
        return Window(first, last, True, "No warm-up was found.")
    begins_ns = time.start_ns + (bins.start + begins) * width
    excluded_s = (begins_ns - first) / 1e9
    return Window(begins_ns, last, True, f"The first {excluded_s:.0f} s are warm-up and excluded.")


def _medians(samples: pd.DataFrame, time: Axis) -> Floats:
    """The median of each bin however few it holds: for finding the warm-up, never for showing."""
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    groups = statistics.sorted_groups(
        _ns(chosen, "response_ns"), time.of(_ns(chosen, "scheduled_ns").copy()), time.bins
    )
    return np.array([float(group[len(group) // 2]) if len(group) else math.nan for group in groups])


def within(samples: pd.DataFrame, part: Window) -> pd.DataFrame:
    """The samples of measured phases that were due in a window."""
    scheduled = _ns(samples, "scheduled_ns")
    return samples[(scheduled >= part.first_ns) & (scheduled <= part.last_ns) & measured(samples)]


def operations(samples: pd.DataFrame, part: Window) -> pd.DataFrame:
    """One row an operation and one for all of them, over a window.

    Columns: `operation`, `n` (all that were due), `ok`, `failed` (sent, but not ok), `dropped`,
    `rate` (ok a second), and of the successes in s: `response_p50` … and `service_p50` …; NaN where
    there are too few samples (`statistics.needed`).
    """
    chosen = within(samples, part)
    good, never = succeeded(chosen), dropped(chosen)
    kinds = [str(kind) for kind in chosen["kind"].cat.categories]
    codes = chosen["kind"].cat.codes.to_numpy().astype(np.int64)
    times = {
        name: statistics.sorted_groups(_ns(chosen, f"{name}_ns"), np.where(good, codes, -1), len(kinds))
        for name in ("response", "service")
    }
    rows = []
    for code, kind in enumerate(kinds):
        own = codes == code
        groups = {name: groups[code] for name, groups in times.items()}
        rows.append(_operation(kind, own, good, never, groups, part))
    if len(kinds) > 1:
        together = {name: np.sort(np.concatenate(groups)) for name, groups in times.items()}
        rows.append(_operation("all", np.ones(len(chosen), np.bool_), good, never, together, part))
    return pd.DataFrame([row for row in rows if row["n"]])


def _operation(
    name: str, own: Mask, good: Mask, never: Mask, ordered: dict[str, Ints], part: Window
) -> dict[str, object]:
    n, ok, unsent = int(own.sum()), int((own & good).sum()), int((own & never).sum())
    row: dict[str, object] = {
        "operation": name,
        "n": n,
        "ok": ok,
        "failed": n - ok - unsent,
        "dropped": unsent,
        "rate": ok / part.length_s,
    }
    for kind, values in ordered.items():
        for percent in PERCENTS:
            row[f"{kind}_{column(percent)}"] = statistics.percentile(values, percent) / 1e9
    return row


def errors(samples: pd.DataFrame) -> pd.DataFrame:
    """What was not as expected, over the whole run: `operation`, `error`, `status`, `n`, `share`, `p50`.

    `share` is of all requests of the operation; `p50` is the median of the time it took, in s.
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


def curve(samples: pd.DataFrame, part: Window) -> pd.DataFrame:
    """The percentile curve of successes: `percent`, `response` and `service` in s, as far as n allows."""
    chosen = within(samples, part)
    chosen = chosen[succeeded(chosen)]
    ordered = {name: np.sort(_ns(chosen, f"{name}_ns")) for name in ("response", "service")}
    shown = [percent for percent in CURVE_PERCENTS if statistics.needed(percent) <= len(chosen)]
    table = pd.DataFrame({"percent": shown})
    for name, values in ordered.items():
        table[name] = [statistics.percentile(values, percent) / 1e9 for percent in shown]
    return table


def heat(samples: pd.DataFrame, time: Axis, rows: int = 48) -> pd.DataFrame:
    """How many successes fell in each cell of time × response time.

    The index is the lower edge of a row in s, in even steps of the logarithm; the columns are the
    bins' middles in s. An empty table where nothing succeeded.
    """
    chosen = samples.loc[succeeded(samples), ["scheduled_ns", "response_ns"]]
    if chosen.empty:
        return pd.DataFrame()
    taken = np.maximum(_ns(chosen, "response_ns") / 1e9, 1e-6)
    low, high = math.floor(math.log10(taken.min()) * 4) / 4, math.ceil(math.log10(taken.max()) * 4) / 4
    step = max(high - low, 0.25) / rows
    level = np.minimum(((np.log10(taken) - low) / step).astype(np.int64), rows - 1)
    bins = time.of(_ns(chosen, "scheduled_ns").copy())
    inside = bins >= 0
    cells = np.bincount(level[inside] * time.bins + bins[inside], minlength=rows * time.bins)
    edges = 10 ** (low + step * np.arange(rows))
    return pd.DataFrame(cells.reshape(rows, time.bins), index=edges, columns=time.middles_s)


def generator(samples: pd.DataFrame, time: Axis) -> pd.DataFrame:
    """How late requests were sent: `t_s`, `n`, `lag_p50`, `lag_p99` (where n allows), `lag_max`, in s."""
    sent = samples.loc[~dropped(samples), ["scheduled_ns", "response_ns", "service_ns"]]
    lag = np.maximum(_ns(sent, "response_ns") - _ns(sent, "service_ns"), 0)
    groups = statistics.sorted_groups(lag, time.of(_ns(sent, "scheduled_ns").copy()), time.bins)
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
"""More points than these become a blot; errors are all kept up to as many again."""


def points(samples: pd.DataFrame, start_ns: int) -> pd.DataFrame:
    """Single requests to draw: `t_s`, `response` in s, `ok`; every k-th where there are too many."""
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


def phases(samples: pd.DataFrame, start_ns: int) -> pd.DataFrame:
    """When each phase began and ended, in s since the start, in order: `phase`, `from_s`, `to_s`."""
    grouped = samples.groupby("phase", observed=True)["scheduled_ns"].agg(["min", "max"])
    table = pd.DataFrame(
        {
            "phase": grouped.index.astype(str),
            "from_s": (grouped["min"].to_numpy() - start_ns) / 1e9,
            "to_s": (grouped["max"].to_numpy() - start_ns) / 1e9,
        }
    )
    return table.sort_values("from_s", kind="stable").reset_index(drop=True)


def _ns(table: pd.DataFrame, name: str) -> Ints:
    return table[name].to_numpy(dtype=np.int64)
