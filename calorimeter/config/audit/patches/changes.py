"""Changes of files, made from lines and options (`edited_text` applies and shows them)."""

from __future__ import annotations

from collections.abc import Iterable

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
    lines = _assignment(key, value)
    entries = conf.options.found.get((group, key))
    if entries:
        entry = entries[-1]
        return Change(entry.file, entry.number, entry.count, lines)
    for file in reversed(conf.options.files):
        for name, number in file.groups:
            if name == group:
                return Change(file.name, number + 1, 0, lines)
    first = conf.options.files[0]
    line = 1 if group == "DEFAULT" else len(first.lines) + 1
    return Change(first.name, line, 0, (f"[{group}]", *lines))


def _assignment(key: str, value: str) -> tuple[str, ...]:
    """The lines of an assignment: a value of several lines is continued, one with outer blanks quoted."""
    first, *more = value.split("\n")
    if not more and (first != first.strip() or (first[:1] in ("'", '"') and first[0] == first[-1])):
        first = f"'{first}'" if first.startswith('"') else f'"{first}"'
    return (f"{key} = {first}", *(f"{_INDENT}{line}" for line in more))


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


def _indented(line: HAProxyLine, statements: Iterable[str]) -> tuple[str, ...]:
    indent = line.text[: len(line.text) - len(line.text.lstrip(" \t"))]
    return tuple(indent + statement for statement in statements)
