"""The page in HTML and Markdown, and its folder."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from calorimeter.core import shipped, statistics
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome, Verdicts
from calorimeter.report import circumstances, figure_list, page_text, summary
from calorimeter.report.figure_list import DrawnFigure, OmittedFigure
from calorimeter.report.figures.style import seconds
from calorimeter.report.page_content import PageContent
from calorimeter.report.tables.latency import PERCENTS, column
from calorimeter.report.tables.stack_durations import TAKEN

Files = dict[str, bytes]

MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?", Outcome.NOT_RUN: "–"}
"""A sign for each outcome, so that no outcome is shown by colour alone."""


def files(found: PageContent) -> Files:
    """All files of a report by their path in its folder; the same bytes for the same run."""
    drawn = [figure_list.draw(figure) for figure in figure_list.of(found)]
    made = words(found, drawn)
    for one in drawn:
        made[f"figures/{one.figure.name}.svg"] = one.wide.encode()
        made[f"figures/{one.figure.name}.png"] = one.png
    for name, table in _tables(found).items():
        made[f"tables/{name}.csv"] = table.to_csv(index=name == "heat", float_format="%.9g").encode()
    return made


def words(found: PageContent, drawn: list[DrawnFigure]) -> Files:
    """The pages and the summary, with figures that were drawn."""
    context = _context(found, drawn)
    return {
        "index.html": render("page.html.j2", context, escape=True),
        "report.md": render("page.md.j2", context, escape=False),
        "summary.json": summary.of(found).model_dump_json(indent=2).encode() + b"\n",
    }


_OF_A_REPORT = re.compile(
    r"index\.html|report\.md|(summary|capacity|scale)\.json|figures/[\w-]+\.(svg|png)|tables/[\w-]+\.csv",
    re.ASCII,
)


def not_of_a_report(folder: Path) -> str | None:
    """The first file of a folder that no report makes; None if a report may replace the folder."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or _OF_A_REPORT.fullmatch(name)):
            return name
    return None


def write(made: Files, folder: Path) -> None:
    """Write a report's files; a reader sees the old report or the new one, never a part of one.

    Two processes that write the same report do not mix their files: the later report stays. Raises
    `InputError` if the folder cannot be written, or holds a file that no report makes.
    """
    refuse_foreign(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".calorimeter-", dir=folder.parent) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            for name, content in made.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            if folder.is_dir():
                folder.rename(old)
            new.rename(folder)
    except OSError as problem:
        raise InputError(str(folder), f"cannot be written ({problem.strerror})") from problem


def refuse_foreign(folder: Path) -> None:
    """Raise `InputError` if a folder holds a file that no report makes."""
    try:
        foreign = not_of_a_report(folder) if folder.is_dir() else None
    except OSError as problem:
        raise InputError(str(folder), f"cannot be read ({problem.strerror})") from problem
    if foreign is not None:
        raise InputError(
            str(folder),
            f"is a folder that is not a report: it holds {foreign}",
            "valid: a new folder, or a report",
        )


def _tables(found: PageContent) -> dict[str, pd.DataFrame]:
    tables: dict[str, pd.DataFrame] = {}
    for source, names in (
        (found.load, _OF_LOAD),
        (found.polled, ("queues", "stacks", "sessions", "outages", "processes", "workers", "invalid")),
        (found.evidence, ("mapping", "rotation")),
    ):
        tables |= {name: getattr(source, name) for name in names if source is not None}
    for name, shares in (("backends", found.backends), ("engines", found.engines)):
        if shares is not None:
            tables[name] = shares.table
    tables["endings"] = found.endings
    detected = [
        trial.detections.assign(trial=trial.file, fault=trial.fault) for trial in found.evidence.trials
    ]
    if detected:
        tables["faults"] = pd.concat(detected)[["trial", "fault", *detected[0].columns[:5]]]
    return {name: table for name, table in tables.items() if len(table) or name in _OF_LOAD}


_OF_LOAD = (
    *("rates", "latencies", "tails", "operations", "errors", "curve", "heat", "against"),
    *("generator", "phases"),
)


def _context(found: PageContent, drawn: list[DrawnFigure]) -> dict[str, Any]:
    sections: dict[str, list[DrawnFigure]] = {name: [] for name in figure_list.SECTIONS}
    omitted: dict[str, list[OmittedFigure]] = {name: [] for name in figure_list.SECTIONS}
    for one in drawn:
        sections[one.figure.section].append(one)
    for other in figure_list.omitted(found):
        omitted[other.section].append(other)
    sections = {name: ones for name, ones in sections.items() if ones or omitted[name]}
    return {
        "found": found,
        "about": found.about,
        "verdicts": found.verdicts.verdicts,
        "counts": _counts(found.verdicts),
        "accepted": all(verdict.acceptable for verdict in found.verdicts.verdicts),
        "marks": MARKS,
        "sections": sections,
        "omitted": omitted,
        "percents": [column(percent) for percent in PERCENTS],
        "taken": TAKEN,
        "needed": {column(percent): statistics.samples_needed(percent) for percent in PERCENTS},
        **{part.__name__: part(found) for part in page_text.PARTS},
        "rebuild": f"calorimeter report runs/{found.about.get('id', '')}",
    }


def _counts(verdicts: Verdicts) -> list[tuple[Outcome, int]]:
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.NOT_RUN, Outcome.PASS)
    outcomes = [verdict.judgement.outcome for verdict in verdicts.verdicts]
    return [(outcome, outcomes.count(outcome)) for outcome in order if outcome in outcomes]


def render(template: str, context: dict[str, Any], *, escape: bool) -> bytes:
    """Fill a template; `escape` for HTML, while Markdown has its own escape, the filter `md`."""
    environment = Environment(
        loader=FileSystemLoader(shipped.folder("reports") / "templates"),
        autoescape=escape,  # noqa: S701
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "seconds": seconds,
        "figure": _figure,
        "count": _count,
        "size": circumstances.size,
        "md": _markdown,
        "svg": Markup,  # drawn by matplotlib, with its text as outlines
    }
    environment.filters.update(filters)
    return environment.get_template(template).render(context).encode()


def _count(value: int) -> str:
    return f"{value:,}"


def _figure(value: object) -> str:
    """A figure of a verdict as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _markdown(value: object) -> str:
    """Text that Markdown shows as it is: no markup, no HTML, one line."""
    line = " ".join(str(value).split())
    return re.sub(r"([\\`*_\[\]<>|#~$])", r"\\\1", line.replace("&", "&amp;"))
