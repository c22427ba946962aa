"""Files of oslo.config (heat.conf): every value with its file and line.

oslo.config's own reader finds the assignments, and its own template replaces `$name` and `$group.name` by
the values of other options. The last value of a key wins, and a later file wins over an earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from oslo_config import cfg, iniparser, types

NO_SECTION = "Section must be started before assignment"
"""oslo.config's message for an assignment above the first section."""

_LARGEST = 10**15


@dataclass(frozen=True, slots=True)
class Assignment:
    """One assignment: its group, key and value as written, its file, first line and number of lines."""

    group: str
    key: str
    raw: str
    file: str
    number: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class UnreadableLine:
    """A line that oslo.config rejects, and its message: a service with this file does not start."""

    file: str
    number: int
    text: str
    message: str

    @property
    def why(self) -> str:
        """What is wrong with the line, as the end of a sentence that begins with it."""
        where = "stands above the first section, as [DEFAULT], and " if self.message == NO_SECTION else ""
        return f"{where}is rejected by oslo.config: {self.message}"


@dataclass(frozen=True, slots=True)
class IniFile:
    """One file: lines with line ends, assignments, the first line of each group, unreadable lines.

    A group has the name by which oslo.config knows it: `DEFAULT`, or else lower case. `[default]` is
    another group than `[DEFAULT]`, and Heat reads nothing of it.
    """

    name: str
    lines: tuple[str, ...]
    entries: tuple[Assignment, ...]
    groups: tuple[tuple[str, int], ...]
    unreadable: tuple[UnreadableLine, ...]

    @property
    def text(self) -> str:
        """The text of the file, exactly as it was parsed."""
        return "".join(self.lines)


@dataclass(frozen=True, slots=True)
class OptionValue:
    """A value in force with its `$name`s replaced, and its assignment.

    `unresolved` are the names that no file sets: they stay as written, because the default of an option is
    not in the files.
    """

    text: str
    entry: Assignment
    unresolved: tuple[str, ...] = ()

    @property
    def boolean(self) -> bool | None:
        """The value as a boolean, by the rules of oslo.config; None if it rejects the value."""
        return as_boolean(self.text)

    @property
    def true(self) -> bool:
        """Whether the value is a boolean that is true."""
        return self.boolean is True

    @property
    def number(self) -> int | None:
        """The value as an integer, by the rules of oslo.config; None if it is empty, rejected or absurd."""
        try:
            number = types.Integer()(self.text)
        except ValueError:
            return None
        return int(number) if number is not None and abs(number) < _LARGEST else None


@dataclass(frozen=True)
class OsloOptions:
    """The options of one process; `files` are in the order of its `--config-file` options.

    `found` has all assignments of an option, in order: the last one is in force.
    """

    files: tuple[IniFile, ...]
    found: dict[tuple[str, str], tuple[Assignment, ...]]

    @cached_property
    def values(self) -> dict[tuple[str, str], OptionValue]:
        """(group, key) → the value in force, of every option that the files set."""
        return {place: self._value(entries[-1], ()) for place, entries in self.found.items()}

    def get(self, key: str, group: str = "DEFAULT") -> OptionValue | None:
        """The value in force; None if the files do not set the option."""
        return self.values.get((group, key))

    def starting(self, *prefixes: str, group: str) -> Iterator[OptionValue]:
        """The values in force of the options of a group whose names start with one of the prefixes."""
        for (where, key), value in self.values.items():
            if where == group and key.startswith(prefixes):
                yield value

    @property
    def in_force(self) -> tuple[Assignment, ...]:
        """The last assignment of each option."""
        return tuple(entries[-1] for entries in self.found.values())

    @property
    def superseded(self) -> tuple[Assignment, ...]:
        """The assignments that a later one of the same option replaces: they have no effect."""
        return tuple(entry for entries in self.found.values() for entry in entries[:-1])

    @property
    def unreadable(self) -> tuple[UnreadableLine, ...]:
        """The lines that oslo.config rejects."""
        return tuple(fault for file in self.files for fault in file.unreadable)

    def _value(self, entry: Assignment, within: tuple[Assignment, ...]) -> OptionValue:
        if "$" not in entry.raw:
            return OptionValue(entry.raw, entry)
        values = _Substitutes(self, (*within, entry))
        template = cfg.ConfigOpts.Template(entry.raw.replace(r"\$", "$$"))
        return OptionValue(template.safe_substitute(values), entry, tuple(dict.fromkeys(values.unresolved)))

    def _named(self, name: str, group: str) -> Assignment | None:
        """The assignment that `$name` means in a group."""
        other, dot, key = name.partition(".")
        if dot:
            # oslo.config does not know [DEFAULT] by that name here.
            entries = self.found.get((other, key)) if other != "DEFAULT" else None
        else:
            entries = self.found.get((group, name)) or self.found.get(("DEFAULT", name))
        return entries[-1] if entries else None


class _Substitutes(dict[str, str]):
    """What the names in one value stand for, looked up on demand."""

    def __init__(self, options: OsloOptions, within: tuple[Assignment, ...]) -> None:
        super().__init__()
        self.options = options
        self.within = within
        self.unresolved: list[str] = []

    def __missing__(self, name: str) -> str:
        entry = self.options._named(name, self.within[-1].group)
        if entry is None or entry in self.within:  # options that name each other
            self.unresolved.append(name)
            raise KeyError(name)
        value = self.options._value(entry, self.within)
        self.unresolved += value.unresolved
        return value.text


def as_boolean(text: str) -> bool | None:
    """A text as a boolean, by the rules of oslo.config; None if it rejects the text."""
    try:
        return bool(types.Boolean()(text))
    except ValueError:
        return None


def parse(name: str, text: str) -> IniFile:
    """Parse one file; never raises."""
    *whole, rest = text.split("\n")
    lines = [line + "\n" for line in whole] + ([rest] if rest else [])
    reader = _Reader(name, lines)
    return IniFile(
        name, tuple(lines), tuple(reader.entries), tuple(reader.groups.items()), tuple(reader.unreadable)
    )


def options(files: Iterable[IniFile]) -> OsloOptions:
    """The options of a process with these files, in this order."""
    ordered = tuple(files)
    found: dict[tuple[str, str], tuple[Assignment, ...]] = {}
    for file in ordered:
        for entry in file.entries:
            place = (entry.group, entry.key)
            found[place] = (*found.get(place, ()), entry)
    return OsloOptions(ordered, found)


class _Reader(iniparser.BaseParser):
    """Reads one file with oslo.config's reader, and goes on after the lines that it rejects.

    oslo.config also ends a line at a carriage return, so one line of the file may be several of its lines.
    """

    def __init__(self, name: str, lines: Iterable[str]) -> None:
        self.name = name
        self.group: str | None = None
        self.groups: dict[str, int] = {}
        self.entries: list[Assignment] = []
        self.unreadable: list[UnreadableLine] = []
        parts = [(n, part) for n, line in enumerate(lines, start=1) for part in re.split(r"\r(?!\n)", line)]
        self.numbers = [number for number, _ in parts]
        # The blank line at the end closes the last value as it does the others: on the line after it.
        rest = iter([*(part for _, part in parts), ""])
        while True:
            try:
                self.parse(rest)
            except iniparser.ParseError as rejected:
                self._reject(self.numbers[rejected.lineno - 1], rejected.line, rejected.msg)
                if rejected.line.startswith("["):
                    self.group = _group_name(rejected.line[1:].partition("]")[0].strip() or "DEFAULT")
                continue
            return

    def _reject(self, number: int, line: str, message: str) -> None:
        self.unreadable.append(UnreadableLine(self.name, number, line, message))

    def new_section(self, section: str) -> None:
        """Take the header of a section."""
        self.group = _group_name(section)
        self.groups.setdefault(self.group, self.numbers[self.lineno - 1])

    def assignment(self, key: str, value: list[str]) -> None:
        """Take a whole assignment; the reader is on the line after it."""
        number, last = (self.numbers[self.lineno - 1 - back] for back in (len(value), 1))
        if self.group is None:
            self._reject(number, f"{key} = {value[0]}", NO_SECTION)
            self.group = "DEFAULT"  # what was meant, so that the rest can be judged
        self.entries.append(
            Assignment(self.group, key, "\n".join(value), self.name, number, last - number + 1)
        )


def _group_name(section: str) -> str:
    return section if section == "DEFAULT" else section.lower()
