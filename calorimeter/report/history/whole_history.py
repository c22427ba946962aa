"""A history from its folders to its text: what the command `history` calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import load_history
from calorimeter.core.shown_text import one_line, some
from calorimeter.report.history import gate_changes, history_lines, history_record, run_folders
from calorimeter.report.history.history_record import History
from calorimeter.report.history.run_folders import CollectedRuns


def collected(
    folders: Sequence[Path], say: Callable[[str], object], run: Path | None = None, since: str | None = None
) -> CollectedRuns:
    """The runs of some folders; only those of the load of `run`, and `since` a day, if these are given.

    Raises `InputError` as the functions of `run_folders`, and if there is no run.
    """
    found = run_folders.collect(folders, say)
    if not found.runs:
        first = f"; {found.left_out[0][0]}: {found.left_out[0][1]}" if found.left_out else ""
        given = f"holds no run that can be used{first}"
        raise InputError(str(folders[0]), given, "`calorimeter run` makes one")
    if run is not None:
        found = run_folders.of_load(found, run)
    return found if since is None else run_folders.since(found, since)


def of(folders: Sequence[Path], found: CollectedRuns) -> History:
    """The lines, the changes and the verdict of runs."""
    lines = history_lines.lines(found.runs)
    names = tuple(one_line(str(folder)) for folder in folders)
    evidence = history_record.evidence(names, lines)
    return History(
        folders=names,
        collected=found,
        lines=lines,
        gates=gate_changes.gate_outcomes(found.runs),
        judgement=load_history.newest_change_is_no_worse(evidence),
    )


def texts(found: History) -> Iterator[str]:
    """The changes as lines of a terminal, the oldest first."""
    from calorimeter.report.history.history_page import cause_texts, shown

    for line in found.lines:
        yield f"{line.title}: {some(len(line.points), 'point')}, {some(len(line.changes), 'change')}"
        for change in line.changes:
            level = change.change.found
            yield (
                f"  {'worse ' if change.worse else 'better'} {change.measure.key}"
                f" {shown(change.measure, level.left)} → {shown(change.measure, level.right)}"
                f" since {line.points[change.first].label}"
            )
            yield f"         cause: {cause_texts(change.causes)[0]}"
