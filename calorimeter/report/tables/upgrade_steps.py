"""Tables of an upgrade under load: its steps, and the messages of each virtual host over time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import upgrade_file
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.upgrade_record import UpgradeRecord
from calorimeter.core.shown_text import plain
from calorimeter.report.time_axis import TimeAxis

STEPS = (
    *("number", "title", "action", "part", "release", "vhost", "back", "from_s", "took_s", "end"),
    *("requests", "failed", "unexcused", "lost", "note"),
)
"""Columns of the steps. `from_s` is seconds since the first request; `requests`, `failed` and `unexcused`
are those of gate U1's evidence (NaN without it), `lost` those stacks whose last message was in the step."""

MOST_STEPS = 500

COUNTED = ("requests", "failed", "unexcused")


@dataclass(frozen=True, slots=True)
class UpgradeTables:
    """An upgrade as tables. `work`: `t_s`, `vhost`, `per_s`, the messages delivered to engines."""

    heading: str
    steps: pd.DataFrame
    work: pd.DataFrame
    lost: tuple[str, ...]


def of_run(run: RunDir, axis: TimeAxis) -> UpgradeTables | None:
    """The tables of a run; None if it was no upgrade. Raises InputError if the record is damaged."""
    record = upgrade_file.read(run)
    if record is None:
        return None
    change = f"From Heat {plain(record.from_release)} to {plain(record.to_release)} by the"
    return UpgradeTables(
        f"{change if record.from_release != record.to_release else 'The'} procedure "
        f"{plain(record.procedure)!r}",
        steps(record, axis, _counts(run)),
        work(record, axis),
        tuple(plain(str(each)) for each in record.lost),
    )


def steps(record: UpgradeRecord, axis: TimeAxis, counts: dict[int, tuple[int, ...]]) -> pd.DataFrame:
    """One row for each step that was begun, in columns of `STEPS`."""
    rows: list[dict[str, Any]] = []
    for step in record.steps[:MOST_STEPS]:
        planned = step.planned
        until_ns = step.ended_ns or step.began_ns
        rows.append({
            **{name: plain(getattr(planned, name)) for name in ("title", "action", "release", "vhost")},
            "number": planned.number,
            "part": plain(planned.name),
            "back": planned.back,
            "from_s": (step.began_ns - axis.start_ns) / 1e9,
            "took_s": (until_ns - step.began_ns) / 1e9,
            "end": step.end or "interrupted",
            "lost": sum(each.step == str(planned) for each in record.lost),
            "note": plain(step.why),
            **dict(zip(COUNTED, counts.get(planned.number, (float("nan"),) * len(COUNTED)), strict=True)),
        })  # fmt: skip
    return pd.DataFrame(rows, columns=list(STEPS)).round({"from_s": 3, "took_s": 3})


def work(record: UpgradeRecord, axis: TimeAxis) -> pd.DataFrame:
    """Messages per second that engines got, by virtual host and bin of the axis."""
    rows = []
    for vhost in sorted({each.vhost for each in record.work}):
        counts = [0] * axis.bins
        for each in record.work:
            if each.vhost != vhost:
                continue
            for second, count in each.seconds.items():
                at = (second * 10**9 - axis.start_ns) // (axis.bin_s * 10**9)
                if 0 <= at < axis.bins:
                    counts[at] += count
        middles = axis.middles_s
        rows += [(float(t_s), plain(vhost), n / axis.bin_s) for t_s, n in zip(middles, counts, strict=True)]
    return pd.DataFrame(rows, columns=["t_s", "vhost", "per_s"])


def _counts(run: RunDir) -> dict[int, tuple[int, ...]]:
    """Step number → its counts in the evidence of gate U1; empty without it, or if it has another shape."""
    found: dict[int, tuple[int, ...]] = {}
    with suppress(InputError, KeyError, TypeError, ValueError, AttributeError):
        tree: Any = files.read_json(run.path / "evidence" / "U1.json", within=run.path)
        for each in tree["steps"][:MOST_STEPS]:
            counts = tuple(int(each[name]) for name in COUNTED)
            found[int(each["step"]["planned"]["number"])] = counts
    return found
