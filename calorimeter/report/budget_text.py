"""The sentences and the cells of a page's latency budget."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from calorimeter.core.recorded.latency_budget import TraceWindow
from calorimeter.core.shown_text import some
from calorimeter.report.figures.style import seconds
from calorimeter.report.tables.request_budget import REQUEST_LABELS, STACK_LABELS, BudgetTables

MOST_ENGINES = 4
"""Engines that a cell names."""

MOST_SHOWN_WINDOWS = 12
LEAST_SHOWN_S = 5e-6
"""Shorter steps of a way are left out of the page; tables/slowest.csv has them."""


@dataclass(frozen=True, slots=True)
class BudgetWords:
    """What a page says of its budget: sentences, and tables as cells of text with their headings."""

    seen: tuple[str, ...]
    requests: tuple[tuple[str, ...], ...]
    stacks: tuple[tuple[str, ...], ...]
    slowest: tuple[tuple[str, ...], ...]


def budget(tables: BudgetTables) -> BudgetWords:
    """The words of a budget. The first row of each table has the headings; without rows it is empty."""
    return BudgetWords(
        seen=tuple(_seen(tables)),
        requests=tuple(_rows(tables.requests, tables.engines, REQUEST_LABELS)),
        stacks=tuple(_rows(tables.stacks, tables.stack_engines, STACK_LABELS)),
        slowest=tuple(_slowest(tables.slowest)),
    )


def _seen(tables: BudgetTables) -> Iterator[str]:
    record = tables.record
    seen = record.seen
    share = f" ({seen.traced / seen.due:.1%})" if seen.due else ""
    yield (
        f"{_windows(record.windows, record.start_ns)} {seen.traced:,} of the {seen.due:,} requests of the "
        f"measured part{share} were sent while tracing was on. Of these, {seen.unfinished:,} had not "
        f"ended when it was switched off, and {seen.failed:,} were not answered as expected: they are in "
        "no cohort."
    )
    if seen.answered:
        links = ", ".join(f"{link} in {count:,}" for link, count in seen.missing.items())
        followed, added_up = (count / seen.answered for count in (seen.followed, seen.added_up))
        yield (
            f"Of {seen.answered:,} answered requests {seen.followed:,} ({followed:.2%}) were followed to "
            f"their engines{f' ({links})' if links else ''}. The segments of {seen.added_up:,} "
            f"({added_up:.2%}) fit the response time within 1 % or 2 ms; the others are in no cohort."
        )
    if seen.stacks_due:
        yield (
            f"Of {some(seen.stacks_due, 'action')} on stacks {seen.stacks:,} were seen from the acceptance "
            "to the end."
        )
    if tables.rare:
        yield f"Too few for a median (20 are needed): {', '.join(tables.rare)}."


def _windows(windows: Sequence[TraceWindow], start_ns: int) -> str:
    if not windows:
        return "The broker was traced during the whole load."
    shown = [
        f"{(window.from_ns - start_ns) / 1e9:.1f} to {(window.to_ns - start_ns) / 1e9:.1f} s"
        for window in windows[:MOST_SHOWN_WINDOWS]
    ]
    more = f" and {len(windows) - len(shown)} more" if len(windows) > len(shown) else ""
    return (
        f"The broker was traced in {some(len(windows), 'window')} ({', '.join(shown)}{more} after the "
        "first request), and after each until its requests were answered."
    )


def _rows(
    table: pd.DataFrame, engines: pd.DataFrame, labels: Mapping[str, str]
) -> Iterator[tuple[str, ...]]:
    if table.empty:
        return
    shown = [name for name in labels if (table[name] > 0).any()]
    stacks = "waits" in table
    more = ("messages", "of these in the chain", "waits beside it, at most") if stacks else ()
    yield ("operation", "cohort", "n", "mean time", *(labels[name] for name in shown), "by engine", *more)
    for row in table.to_dict("records"):
        own = engines[(engines["operation"] == row["operation"]) & (engines["cohort"] == row["cohort"])]
        counts = (f"{row['messages']:.1f}", f"{row['hops']:.1f}", seconds(row["waits"])) if stacks else ()
        yield (
            *(
                row["operation"],
                row["cohort"],
                f"{row['n']:,} of {row['requests']:,}",
                seconds(row["mean_s"]),
            ),
            *(seconds(row[name]) for name in shown),
            _by_engine(own),
            *counts,
        )


def _by_engine(own: pd.DataFrame) -> str:
    most = own.sort_values("mean_s", ascending=False, kind="stable").head(MOST_ENGINES)
    named = [f"{row['engine']} {seconds(row['mean_s'])}" for row in most.to_dict("records")]
    return ", ".join(named) + (f" and {len(own) - len(most)} more" if len(own) > len(most) else "")


def _slowest(steps: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    if steps.empty:
        return
    yield ("", "operation", "time", "due at", "way", "request id")
    for rank, own in steps.groupby("rank", sort=True):
        first = own.iloc[0]
        words = [_step(row) for row in own.to_dict("records") if row["took_s"] >= LEAST_SHOWN_S]
        doubt = "" if first["adds_up"] else " (the times of its evidence contradict one another)"
        yield (
            *(str(rank), first["operation"], seconds(first["response_s"]), f"{first['at_s']:.1f} s"),
            *(" → ".join(words) + doubt, first["request_id"]),
        )


def _step(row: Mapping[Any, Any]) -> str:
    who = " ".join(str(row[name]) for name in ("who", "what") if row[name])
    place = f" [{who}]" if who else ""
    return f"{REQUEST_LABELS[row['segment']]}{place} {seconds(row['took_s'])}"
