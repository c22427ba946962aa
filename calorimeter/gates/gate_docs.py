"""The pages of docs/reference that explain the gates: which sections and passages are about which gate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from calorimeter.core import files, shipped

FOLDER = "docs/reference"
PAGES = ("gates-*.md", "audit*.md")

_ID = re.compile(r"\b([A-Z])(\d+)(?:(?:–|-| to )\1?(\d+))?\b")
_HEADING = re.compile(r"(#+) +([^ ].*)")
_DELIMITER = re.compile(r"\|[\s:|-]+\|")
_LEAD = re.compile(r"(?:- )?\*\*(.+?)\*\*", re.DOTALL)
_NOT_IN_ANCHOR = re.compile(r"[^\w\- ]")
_BLOCK_ENDS = re.compile(r"\n\s*\n|\n(?=- )")


@dataclass(frozen=True, slots=True)
class DocsSection:
    """A heading of a page, and the lines below it up to the next heading of its level or above."""

    page: str
    title: str
    level: int
    lines: tuple[str, ...]

    @property
    def link(self) -> str:
        """The path of the page, with the heading's anchor as GitHub and Gitea make it."""
        anchor = _NOT_IN_ANCHOR.sub("", self.title.lower()).replace(" ", "-")
        return f"{self.page}#{anchor}"

    @property
    def text(self) -> str:
        """The section's Markdown, with its heading."""
        return "\n".join((f"{'#' * self.level} {self.title}", *self.lines)).rstrip()

    def names(self, gate_id: str) -> bool:
        """Whether the heading names the gate; the title of a page does not count, for it names a group."""
        return self.level > 1 and gate_id in gate_ids(self.title)

    def passages(self, gate_id: str) -> Iterator[str]:
        """The table rows, as `column: cell` lines, and the paragraphs that begin with the gate's id.

        A paragraph begins with what stands in its leading bold text. Subsections are left out.
        """
        own = list(takewhile(lambda line: not _HEADING.fullmatch(line), self.lines))
        columns: list[str] = []
        for line, following in zip(own, [*own[1:], ""], strict=True):
            if line.startswith("|") and _DELIMITER.fullmatch(following):
                columns = _cells(line)
            elif line.startswith("|") and gate_id in gate_ids(_cells(line)[0]):
                cells = zip(columns, _cells(line), strict=True)
                yield "\n".join(f"{column}: {cell}" if column else cell for column, cell in cells)
        for block in _BLOCK_ENDS.split("\n".join(own)):
            if (lead := _LEAD.match(block.lstrip())) and gate_id in gate_ids(lead[1]):
                yield block.strip()


def _cells(row: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def gate_ids(text: str) -> set[str]:
    """The ids of the gates that a text names, in lists (`S1, S2`) and in ranges (`S1–S8`, `S1 to S8`)."""
    found = set()
    for letter, first, last in _ID.findall(text):
        found |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found


def sections() -> list[DocsSection]:
    """The sections of all pages about gates."""
    found = []
    for file in sorted(file for pattern in PAGES for file in shipped.folder(FOLDER).glob(pattern)):
        page = str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
        lines = files.read_text(file).splitlines()
        headings = [
            (at, len(m[1]), m[2]) for at, line in enumerate(lines) if (m := _HEADING.fullmatch(line))
        ]
        for at, level, title in headings:
            end = next((there for there, other, _ in headings if there > at and other <= level), len(lines))
            found.append(DocsSection(page, title, level, tuple(lines[at + 1 : end])))
    return found


def about(gate_id: str) -> tuple[list[DocsSection], list[tuple[DocsSection, str]]]:
    """The sections whose headings name a gate, and the passages about it in all other sections."""
    everything = sections()
    named = [section for section in everything if section.names(gate_id)]
    least = min((section.level for section in named), default=0)
    others = [section for section in everything if section not in named]
    return (
        [section for section in named if section.level == least],
        [(section, passage) for section in others for passage in section.passages(gate_id)],
    )


def link(gate_id: str) -> str | None:
    """The path and the anchor of what the docs say about a gate; None for a gate of another suite."""
    named, passages = about(gate_id)
    return next((section.link for section in (*named, *(section for section, _ in passages))), None)
