"""Changes of files: made from lines, applied to texts, shown as unified diffs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from calorimeter.config.audit.model import Change, LinePlace
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyLine, HAProxySection
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.config.heat.oslo import Assignment, OptionValue, UnreadableLine

_INDENT = "    "


def at(line: HAProxyLine | Assignment | UnreadableLine) -> LinePlace:
    """The place of a line."""
    return LinePlace(line.file, line.number)


def at_option(conf: HeatProcessConf, value: OptionValue | None, group: str = "DEFAULT") -> LinePlace:
    """The place of an option of a Heat file; if it is not set, that of its group (see `at_group`)."""
    return at(value.entry) if value else at_group(conf, group)


def at_group(conf: HeatProcessConf, group: str = "DEFAULT") -> LinePlace:
    """The line that starts a group; if it is absent, that of [DEFAULT], or else the first line."""
    for wanted in (group, "DEFAULT"):
        for file in conf.options.files:
            for name, number in file.groups:
                if name == wanted:
                    return LinePlace(file.name, number)
    return LinePlace(conf.file, 1)


def replace_line(line: HAProxyLine, *statements: str) -> Change:
    """Replace a line by statements with the same indentation."""
    return Change(line.file, line.number, 1, _indented(line, statements))


def remove_line(line: HAProxyLine) -> Change:
    """Remove a line."""
    return replace_line(line)


def insert_before(line: HAProxyLine, *statements: str) -> Change:
    """Insert statements before a line, with the same indentation."""
    return Change(line.file, line.number, 0, _indented(line, statements))


def insert_after(line: HAProxyLine, *statements: str) -> Change:
    """Insert statements after a line, with the same indentation."""
    return Change(line.file, line.number + 1, 0, _indented(line, statements))


def insert_into(section: HAProxySection, *statements: str) -> Change:
    """Insert statements at the start of a section, indented as its first statement is."""
    first = next(section.statements, None)
    lines = _indented(first, statements) if first else tuple(_INDENT + s for s in statements)
    return Change(section.header.file, section.header.number + 1, 0, lines)


def append_words(line: HAProxyLine, words: str) -> Change:
    """Append words to a line, before its comment."""
    text = line.text.rstrip("\r\n")
    comment = line.parsed.comment
    if comment is None:
        return Change(line.file, line.number, 1, (f"{text.rstrip()} {words}",))
    return Change(line.file, line.number, 1, (f"{text[:comment].rstrip()} {words}  {text[comment:]}",))


def set_option(conf: HeatProcessConf, group: str, key: str, value: str) -> Change:
    """Set an option of a Heat file: on its own line, below the header of its group, or in a new group."""
    entries = conf.options.found.get((group, key))
    if entries:
        entry = entries[-1]
        return Change(entry.file, entry.number, entry.count, (f"{key} = {value}",))
    for file in reversed(conf.options.files):
        for name, number in file.groups:
            if name == group:
                return Change(file.name, number + 1, 0, (f"{key} = {value}",))
    first = conf.options.files[0]
    line = 1 if group == "DEFAULT" else len(first.lines) + 1
    return Change(first.name, line, 0, (f"[{group}]", f"{key} = {value}"))


def remove_option(entry: Assignment) -> Change:
    """Remove an assignment."""
    return Change(entry.file, entry.number, entry.count, ())


def shared_section(subject: AuditedFiles, section: HAProxySection) -> HAProxySection:
    """The section for a statement that concerns every proxy: the only `defaults`, or else `section`."""
    for proxy in subject.proxies:
        sections = list(proxy.configuration.tree.sections)
        defaults = [s for s in sections if s.kind == "defaults"]
        if section in sections and len(defaults) == 1:
            return defaults[0]
    return section


def applied(texts: Mapping[str, str], changes: Iterable[Change]) -> dict[str, str]:
    """The texts with the changes applied; of two changes of the same line only the first is applied."""
    by_file: dict[str, list[Change]] = {}
    for change in dict.fromkeys(changes):
        group = by_file.setdefault(change.file, [])
        if not any(_overlap(change, other) for other in group):
            group.append(change)
    result = dict(texts)
    for file, group in by_file.items():
        if file in result:
            result[file] = _changed(result[file], group)
    return result


def _overlap(one: Change, other: Change) -> bool:
    if not one.count or not other.count:
        return False  # an insertion replaces no line
    return one.line < other.line + other.count and other.line < one.line + one.count


def _changed(text: str, changes: list[Change]) -> str:
    *whole, rest = text.split("\n")
    lines = [*whole, rest] if rest else whole
    ended = not rest
    changes = _one_header(changes)
    # Changes are applied from the end of the file, so that line numbers above stay valid. Of several
    # insertions at one line the first comes first.
    order = sorted(enumerate(changes), key=lambda pair: (pair[1].line, pair[1].count, pair[0]))
    for _, change in reversed(order):
        start = min(change.line - 1, len(lines))
        lines[start : start + change.count] = change.lines
    return "\n".join(lines) + ("\n" if ended or lines else "")


def _one_header(changes: list[Change]) -> list[Change]:
    """Merge insertions of options into the same new group, so that its header is written once."""
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


def diff(name: str, before: str, after: str, *, context: int = 3) -> str:
    """The unified diff of one file; empty if nothing changes."""
    old = before.splitlines(keepends=True)
    new = after.splitlines(keepends=True)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, f"a/{name}", f"b/{name}", n=context)
    )


def _indented(line: HAProxyLine, statements: Iterable[str]) -> tuple[str, ...]:
    indent = line.text[: len(line.text) - len(line.text.lstrip(" \t"))]
    return tuple(indent + statement for statement in statements)
