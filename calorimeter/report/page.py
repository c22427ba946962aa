"""The page of a run in HTML and Markdown, its figures and its tables."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup

from calorimeter.core import shipped, shown_text, statistics
from calorimeter.core.verdict import Outcome, Verdicts
from calorimeter.report import (
    budget_text,
    circumstances,
    figure_labels,
    figure_list,
    page_figures,
    page_text,
    summary,
)
from calorimeter.report.figures.style import seconds
from calorimeter.report.page_content import PageContent
from calorimeter.report.page_figures import DrawnFigure, OmittedFigure
from calorimeter.report.tables import csv_file, json_file
from calorimeter.report.tables.latency import PERCENTS, column
from calorimeter.report.tables.stack_durations import TAKEN

Files = dict[str, bytes]

MARKS = {Outcome.PASS: "✓", Outcome.FAIL: "✗", Outcome.INCONCLUSIVE: "?", Outcome.NOT_RUN: "–"}
"""A sign for each outcome, so that no outcome is shown by colour alone."""


def files(found: PageContent) -> Files:
    """All files of a report by their path in its folder; the same bytes for the same run."""
    drawn = [figure_list.draw(figure) for figure in figure_list.of(figure_labels.drawable(found))]
    made = words(found, drawn)
    for one in drawn:
        made[f"figures/{one.figure.name}.svg"] = one.wide.encode()
        made[f"figures/{one.figure.name}.png"] = one.png
    for name, table in _tables(found).items():
        made[f"tables/{name}.csv"] = csv_file.of_frame(table, index=name == "heat")
    return made


def words(found: PageContent, drawn: list[DrawnFigure]) -> Files:
    """The pages and the summary, with figures that were drawn."""
    context = _context(found, drawn)
    return {
        "index.html": render("page.html.j2", context),
        "report.md": render("page.md.j2", context),
        "summary.json": json_file.of_model(summary.of(found)),
    }


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
    if found.budget is not None:
        tables |= {
            "budget": found.budget.requests,
            "budget-engines": found.budget.engines,
            "stack-budget": found.budget.stacks,
            "stack-budget-engines": found.budget.stack_engines,
            "slowest": found.budget.slowest,
        }
    tables["endings"] = found.endings
    tables["growth"] = found.growth
    tables["timings"] = found.gate_steps
    if found.upgrade is not None:
        tables |= {"upgrade": found.upgrade.steps, "upgrade-messages": found.upgrade.work}
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
    sections: dict[str, list[DrawnFigure]] = {name: [] for name in page_figures.SECTIONS}
    omitted: dict[str, list[OmittedFigure]] = {name: [] for name in page_figures.SECTIONS}
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
        "accepted": not any(verdict.refuses for verdict in found.verdicts.verdicts),
        "marks": MARKS,
        "sections": sections,
        "omitted": omitted,
        "percents": [column(percent) for percent in PERCENTS],
        "taken": TAKEN,
        "budget": budget_text.budget(found.budget) if found.budget else None,
        "needed": {column(percent): statistics.samples_needed(percent) for percent in PERCENTS},
        **{part.__name__: part(found) for part in page_text.PARTS},
        "slope_rule": statistics.SLOPE_RULE,
        "rebuild": shlex.join(["calorimeter", "report", f"runs/{found.about.get('id', '')}"]),
    }


def _counts(verdicts: Verdicts) -> list[tuple[Outcome, int]]:
    order = (Outcome.FAIL, Outcome.INCONCLUSIVE, Outcome.NOT_RUN, Outcome.PASS)
    outcomes = [verdict.judgement.outcome for verdict in verdicts.verdicts]
    return [(outcome, outcomes.count(outcome)) for outcome in order if outcome in outcomes]


POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""Content-Security-Policy of every page: it runs no script and asks for nothing."""


def render(template: str, context: dict[str, Any]) -> bytes:
    """Fill a template. Every value is escaped for HTML or Markdown, unless a filter made it markup."""
    environment = Environment(
        loader=FileSystemLoader(shipped.folder("reports") / "templates"),
        autoescape=True,  # also for Markdown, where `finalize` has escaped each value before
        finalize=_in_markdown if template.endswith(".md.j2") else _in_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["policy"] = POLICY
    filters: dict[str, Callable[..., str]] = {
        "seconds": seconds,
        "figure": _figure,
        "count": _count,
        "some": shown_text.some,
        "size": circumstances.size,
        "code": lambda value: Markup(shown_text.one_line(str(value))),  # noqa: S704 - a block of code
        "shell": _shell,
        "slope": _slope,
        "svg": Markup,  # drawn by matplotlib, with its text as outlines
    }
    environment.filters.update(filters)
    return environment.get_template(template).render(context).encode()


def _in_html(value: object) -> object:
    return value if isinstance(value, Markup | Undefined) else shown_text.plain(str(value))


def _in_markdown(value: object) -> object:
    if isinstance(value, Markup | Undefined):
        return value
    return Markup(shown_text.markdown(str(value)))  # noqa: S704


def _shell(command: object) -> str:
    """A command as it is typed."""
    return shlex.join(map(str, command)) if isinstance(command, list | tuple) else str(command)


def _slope(value: float) -> str:
    """A slope or a level as text; a dash for a bound that is not known."""
    return f"{value:.3g}".replace("-", "−") if math.isfinite(value) else "–"


def _count(value: int) -> str:
    return f"{value:,}"


def _figure(value: object) -> str:
    """A figure of a verdict as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
