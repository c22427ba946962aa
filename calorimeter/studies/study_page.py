"""The page of a study as HTML and Markdown, with its figures and tables as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from calorimeter.report.figures import style
from calorimeter.report.page import Files, render
from calorimeter.report.tables import csv_file, json_file
from calorimeter.studies.study_circumstances import Result

__all__ = ["Files", "StudyFigure", "Table", "files", "text"]


@dataclass(frozen=True, slots=True)
class StudyFigure:
    """A figure: the name of its file, its caption, and the function that draws it."""

    name: str
    caption: str
    plot: style.Plot


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text; `name` is that of its file, `notes` is whether its last column holds sentences."""

    name: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: bool = True


@dataclass(frozen=True, slots=True)
class _DrawnFigure:
    name: str
    caption: str
    wide: str
    narrow: str


def files(
    title: str,
    lead: Sequence[str],
    figures: Sequence[StudyFigure],
    tables: Sequence[Table],
    notes: Sequence[str],
    result: Result,
    kept: str,
) -> Files:
    """All files of a study's page by their path in its folder; the same bytes for the same result.

    `kept` is the name of the result's file.
    """
    made: Files = {}
    drawn = []
    for figure in figures:
        wide, png = style.svg_and_png(figure.plot, style.WIDE, f"{figure.name}-w")
        narrow = style.svg(figure.plot, style.NARROW, f"{figure.name}-n")
        drawn.append(_DrawnFigure(figure.name, figure.caption, wide, narrow))
        made[f"figures/{figure.name}.svg"] = wide.encode()
        made[f"figures/{figure.name}.png"] = png
    context: dict[str, Any] = {
        **{"title": title, "lead": lead, "figures": drawn, "tables": tables, "notes": notes},
        **{"where": result.circumstances.rows, "kept": kept},
    }
    made["index.html"] = render("study.html.j2", context)
    made["report.md"] = render("study.md.j2", context)
    made["summary.json"] = json_file.of_model(result)
    for table in tables:
        made[f"tables/{table.name}.csv"] = csv_file.of_rows([table.headings, *table.rows])
    return made


def text(table: Table) -> str:
    """The table for a terminal."""
    rows = [table.headings, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.headings))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
