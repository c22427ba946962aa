"""The latency budget of a run, from its samples, its stacks and the recording of its trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from calorimeter.core.errors import shortened
from calorimeter.core.recorded import sample_stream
from calorimeter.core.recorded.latency_budget import (
    LONGEST_TEXT,
    MOST_NOTES,
    NAME,
    LatencyBudget,
    Seen,
    TraceWindow,
)
from calorimeter.core.recorded.measured_part import Span, measured_part
from calorimeter.core.recorded.recorded_tables import RecordedRows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.recorded.sample_extent import extent_of
from calorimeter.core.statistics import Ints
from calorimeter.gates.request_path import cohorts
from calorimeter.gates.request_path.completeness import join_completeness
from calorimeter.gates.request_path.path import RequestPaths, RpcMessages, join
from calorimeter.gates.request_path.recording import PathEvidence
from calorimeter.gates.request_path.segments import RequestWay, TimedRequest, way
from calorimeter.gates.request_path.stack_hops import EndedStack, StackWay, stack_way

MOST_REQUESTS = 500_000
"""Requests of a budget; those that were sent later are left out. A trace holds no more."""

TIMED = tuple(TimedRequest.model_fields)

STACK_COLUMNS = ("api", "request_id", "accepted_ns", "final_ns", "final_state")


class TracedRequests(NamedTuple):
    """The requests of the measured part that were sent while tracing was on, and ended meanwhile.

    `due` counts all requests of the part, `unfinished` those that ended after tracing, `beyond` those that
    were left out because they are too many.
    """

    requests: tuple[TimedRequest, ...]
    due: int
    unfinished: int
    beyond: int


def keep(run: RunDir, recording: PathEvidence) -> LatencyBudget | None:
    """Make the budget of a run and keep it in its evidence; None without a request.

    Raises InputError for damaged samples, and if the file cannot be written.
    """
    found = budget(run, recording)
    if found is not None:
        run.save_evidence(NAME, found)
    return found


def budget(run: RunDir, recording: PathEvidence) -> LatencyBudget | None:
    """The budget of a run from its recording; None if it has no request. Raises InputError."""
    samples = sample_stream.stream(run)
    if samples is None:
        return None
    extent = extent_of(samples)
    part = measured_part(extent, run.about) or Span(extent.first_ns, extent.last_ns)
    traced = traced_requests(run, part, recording.windows)
    paths = join(traced.requests, recording.connections, recording.events, recording.processes)
    ways = [
        way(request, path, recording.hosts)
        for request, path in zip(traced.requests, paths.paths, strict=True)
    ]
    ended, stacks_due = _ended_stacks(run, part, recording.windows)
    return LatencyBudget(
        start_ns=extent.first_ns,
        windows=recording.windows,
        seen=_seen(traced, paths, ways, stacks_due, len(stacks := _stack_ways(ended, recording))),
        operations=cohorts.operation_budgets(each for each in ways if _counts(each)),
        stacks=cohorts.stack_budgets(stacks),
        slowest=cohorts.slowest(each for each in ways if not each.request.error),
        doubts=_doubts(recording, traced),
    )


def _counts(each: RequestWay) -> bool:
    """Whether a request is in cohorts: latencies are of successes, and of times that fit together."""
    return not each.request.error and each.adds_up


def _doubts(recording: PathEvidence, traced: TracedRequests) -> tuple[str, ...]:
    beyond = f"{traced.beyond} of the traced requests are left out: a budget has at most {MOST_REQUESTS}"
    found = (*([beyond] if traced.beyond else []), *recording.doubts)
    return tuple(shortened(doubt, LONGEST_TEXT) for doubt in found[:MOST_NOTES])


def _seen(
    traced: TracedRequests, paths: RequestPaths, ways: Sequence[RequestWay], stacks_due: int, stacks: int
) -> Seen:
    joined = join_completeness(paths)
    return Seen(
        due=traced.due,
        traced=len(traced.requests) + traced.unfinished + traced.beyond,
        unfinished=traced.unfinished,
        failed=sum(1 for each in ways if each.request.error),
        answered=joined.answered,
        followed=joined.whole,
        added_up=sum(1 for each in ways if each.request.status and each.adds_up),
        missing=joined.missing,
        stacks_due=stacks_due,
        stacks=stacks,
    )


def traced_requests(run: RunDir, part: Span, windows: Sequence[TraceWindow]) -> TracedRequests:
    """The requests of a part of a run that were traced: all, or those of the windows."""
    chosen: list[TimedRequest] = []
    due = unfinished = beyond = 0
    for batch in RecordedRows(run, "samples").batches(TIMED):
        sent, error = _times(batch, "sent_ns"), batch.column("error")
        kept = np.array([code != "dropped" for code in error.dictionary.to_pylist()], dtype=bool)
        measured = part.holds(_times(batch, "scheduled_ns"))
        due += int(measured.sum())
        traced, ended = in_windows(sent, _times(batch, "done_ns"), windows)
        traced &= measured & kept[error.indices.to_numpy()] if len(kept) else False
        unfinished += int((traced & ~ended).sum())
        places = np.flatnonzero(traced & ended)
        room = MOST_REQUESTS - len(chosen)
        beyond += max(0, len(places) - room)
        chosen += map(_timed, batch.take(pa.array(places[:room])).to_pylist())
    return TracedRequests(tuple(chosen), due, unfinished, beyond)


def _timed(row: dict[str, Any]) -> TimedRequest:
    return TimedRequest.model_validate({**row, "request_id": row["request_id"] or ""})


def _times(batch: pa.RecordBatch, name: str) -> Ints:
    return np.asarray(batch.column(name).to_numpy())


def in_windows(begun: Ints, ended: Ints, windows: Sequence[TraceWindow]) -> tuple[np.ndarray, np.ndarray]:
    """Which requests began in a window, and which of them ended before it was over; all without windows."""
    if not windows:
        return np.ones(len(begun), dtype=bool), np.ones(len(begun), dtype=bool)
    inside, whole = np.zeros(len(begun), dtype=bool), np.zeros(len(begun), dtype=bool)
    for window in windows:
        own = (begun >= window.from_ns) & (begun <= window.to_ns)
        inside |= own
        whole |= own & (ended <= window.off_ns)
    return inside, whole


def _ended_stacks(run: RunDir, part: Span, windows: Sequence[TraceWindow]) -> tuple[list[EndedStack], int]:
    """The actions on stacks that ended as wanted and were traced from their acceptance on, and how many
    there were in all."""
    found: list[EndedStack] = []
    total = 0
    for row in _stack_rows(run):
        if not part.first_ns <= row["accepted_ns"] <= part.last_ns:
            continue
        total += 1
        if not 0 <= row["final_ns"] - row["accepted_ns"] <= sample_stream.MOST_LENGTH_NS:
            continue  # it never ended, or the times are none of a run
        if row["final_state"].endswith("_COMPLETE") and _whole(row, windows):
            kind = f"{row['api']} {row['operation']}"
            found.append(EndedStack(kind, row["request_id"] or "", row["accepted_ns"], row["final_ns"]))
    return found, total


def _stack_rows(run: RunDir) -> Iterator[dict[str, Any]]:
    """The rows of the ledger and of actions, with the operation that a row of the ledger does not name."""
    for batch in RecordedRows(run, "ledger").batches(STACK_COLUMNS):
        for row in batch.to_pylist():
            created = "CreateStack" if row["api"] == "cfn" else "create"
            adopted = row["final_state"].startswith("ADOPT")
            yield {**row, "operation": "adopt" if adopted else created}
    for batch in RecordedRows(run, "actions").batches((*STACK_COLUMNS, "operation")):
        yield from batch.to_pylist()


def _whole(row: dict[str, Any], windows: Sequence[TraceWindow]) -> bool:
    """Whether a stack was accepted in a window, and ended before it was over."""
    accepted_ns, final_ns = (np.array([row[name]], dtype=np.int64) for name in ("accepted_ns", "final_ns"))
    return bool(in_windows(accepted_ns, final_ns, windows)[1][0])


def _stack_ways(ended: Iterable[EndedStack], recording: PathEvidence) -> list[StackWay]:
    messages = RpcMessages(recording.events, recording.processes)
    ways = (stack_way(stack, messages.legs(stack.request_id)[0], recording.hosts) for stack in ended)
    return [each for each in ways if each is not None and each.adds_up]
