"""Changes of files: made from lines, applied to texts, shown as unified diffs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from calorimeter.config.audit.model import Change, Place
from calorimeter.config.audit.subject import Subject
from calorimeter.config.haproxy import Line, Section
from calorimeter.config.heat.heat_conf import HeatConf
from calorimeter.config.heat.oslo import Entry

_INDENT = "    "


def at(line: Line) -> Place:
    """The place of a line of an HAProxy file."""
    return Place(line.file, line.number)


def of(entry: Entry) -> Place:
    """The place of an assignment of a Heat file."""
    return Place(entry.file, entry.number)


def replaced(line: Line, *statements: str) -> Change:
    """Other statements in place of a line, indented as it is; none removes it."""
    indent = _indent(line)
    return Change(line.file, line.number, 1, tuple(indent + statement for statement in statements))


def after(line: Line, *statements: str) -> Change:
    """Statements after a line, indented as it is."""
    indent = _indent(line)
    return Change(line.file, line.number + 1, 0, tuple(indent + statement for statement in statements))


def into(section: Section, *statements: str) -> Change:
    """Statements at the start of a section, indented as its first one is."""
    first = next(section.statements, None)
    indent = _indent(first) if first else _INDENT
    header = section.header
    return Change(header.file, header.number + 1, 0, tuple(indent + s for s in statements))


def appended(line: Line, words: str) -> Change:
    """Words at the end of a line, before its comment."""
    text = line.text.rstrip("\r\n")
    comment = line.parsed.comment
    if comment is None:
        return Change(line.file, line.number, 1, (f"{text.rstrip()} {words}",))
    return Change(line.file, line.number, 1, (f"{text[:comment].rstrip()} {words}  {text[comment:]}",))


def option(conf: HeatConf, group: str, key: str, value: str) -> Change:
    """An option of a Heat file set: on its line, below its group's header, or in a new group."""
    entries = conf.options.found.get((group, key))
    if entries:
        entry = entries[-1]
        return Change(entry.file, entry.number, entry.count, (f"{key} = {value}",))
    for file in reversed(conf.options.files):
        for name, number in file.groups:
            if name == group:
                return Change(file.name, number + 1, 0, (f"{key} = {value}",))
    first = conf.options.files[0]
    if group == "DEFAULT":
        return Change(first.name, 1, 0, ("[DEFAULT]", f"{key} = {value}"))
    return Change(first.name, len(first.lines) + 1, 0, (f"[{group}]", f"{key} = {value}"))


def removed(entry: Entry) -> Change:
    """An assignment taken out."""
    return Change(entry.file, entry.number, entry.count, ())


def group_place(conf: HeatConf, group: str = "DEFAULT") -> Place:
    """Where a group starts in a Heat file; without it, where [DEFAULT] does, or the first line."""
    for wanted in (group, "DEFAULT"):
        for file in conf.options.files:
            for name, number in file.groups:
                if name == wanted:
                    return Place(file.name, number)
    return Place(conf.file, 1)


def shared(subject: Subject, section: Section) -> Section:
    """The `defaults` section that a statement for every proxy belongs in, else the section itself."""
    for proxy in subject.proxies:
        sections = list(proxy.configuration.tree.sections)
        defaults = [s for s in sections if s.kind == "defaults"]
        if section in sections and len(defaults) == 1:
            return defaults[0]
    return section


def applied(texts: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """The texts with the changes made; of two that touch the same lines only the first is made."""
    by_file: dict[str, list[Change]] = {}
    for change in dict.fromkeys(changes):
        group = by_file.setdefault(change.file, [])
        if not any(_touch(change, other) for other in group):
            group.append(change)
    result = dict(texts)
    for file, group in by_file.items():
        if file in result:
            result[file] = _with(result[file], group)
    return result


def _touch(one: Change, other: Change) -> bool:
    if not one.count or not other.count:
        return False  # an insertion shares no line with anything
    return one.line < other.line + other.count and other.line < one.line + one.count


def _with(text: str, changes: list[Change]) -> str:
    *whole, rest = text.split("\n")
    lines = [*whole, rest] if rest else whole
    ended = not rest
    changes = _one_header(changes)
    # From the end, so that the numbers of the lines above stay right; of several insertions at one
    # place the first stays first.
    order = sorted(enumerate(changes), key=lambda pair: (pair[1].line, pair[1].count, pair[0]))
    for _, change in reversed(order):
        start = min(change.line - 1, len(lines))
        lines[start : start + change.count] = change.lines
    return "\n".join(lines) + ("\n" if ended or lines else "")


def _one_header(changes: list[Change]) -> list[Change]:
    """New groups of a Heat file written once: options for one group become one insertion."""
    merged: dict[tuple[int, str], Change] = {}
    rest: list[Change] = []
    for change in changes:
        if change.count or not change.lines or not change.lines[0].startswith("["):
            rest.append(change)
            continue
        key = (change.line, change.lines[0])
        before = merged[key].lines if key in merged else change.lines[:1]
        merged[key] = Change(change.file, change.line, 0, before + change.lines[1:])
    return rest + list(merged.values())


def diff(name: str, before: str, after_: str, *, context: int = 3) -> str:
    """A unified diff of one file, empty where nothing changes."""
    old = before.splitlines(keepends=True)
    new = after_.splitlines(keepends=True)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context)
    )


def _indent(line: Line) -> str:
    text = line.text
    return text[: len(text) - len(text.lstrip(" \t"))]
