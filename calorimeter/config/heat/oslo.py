"""Files of oslo.config (heat.conf): every value with its file and line.

The rules are those of oslo.config: an assignment is `key = value` or `key: value`; a continuation line
starts with a blank; the last value of a key wins, and a later file wins over an earlier one; `$name` and
`$group.name` are replaced by the values of other options.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_VARIABLE = re.compile(r"\$(?:(\$)|([_a-z][._a-z0-9]*)|\{([_a-z][._a-z0-9]*)\})", re.IGNORECASE)
_TRUE = frozenset({"true", "1", "on", "yes"})
_DEPTH = 8


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
    """A line that oslo.config rejects: a service with this file does not start."""

    file: str
    number: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class IniFile:
    """One file: lines with line ends, assignments, the first line of each group, unreadable lines."""

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
    """A value in force with its `$name`s replaced, and its assignment."""

    text: str
    entry: Assignment

    @property
    def true(self) -> bool:
        """The value as a boolean, by the rules of oslo.config."""
        return self.text.strip().lower() in _TRUE

    @property
    def number(self) -> int | None:
        """The value as an integer; None if it is not one."""
        text = self.text.strip()
        return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text, re.ASCII) else None


@dataclass(frozen=True, slots=True)
class OsloOptions:
    """The options of one process; `files` are in the order of its `--config-file` options."""

    files: tuple[IniFile, ...]
    found: dict[tuple[str, str], tuple[Assignment, ...]]

    def get(self, key: str, group: str = "DEFAULT") -> OptionValue | None:
        """The value in force; None if the files do not set the option."""
        entries = self.found.get((group, key))
        return OptionValue(self._filled(entries[-1].raw, group), entries[-1]) if entries else None

    def starting(self, *prefixes: str, group: str) -> Iterator[OptionValue]:
        """The values in force of the options of a group whose names start with one of the prefixes."""
        for where, key in self.found:
            value = self.get(key, where) if where == group and key.startswith(prefixes) else None
            if value:
                yield value

    @property
    def unreadable(self) -> tuple[UnreadableLine, ...]:
        """The lines that oslo.config rejects."""
        return tuple(fault for file in self.files for fault in file.unreadable)

    def _filled(self, raw: str, group: str, depth: int = 0) -> str:
        def replacement(match: re.Match[str]) -> str:
            if match[1]:
                return "$"
            name = match[2] or match[3]
            other, _, key = name.rpartition(".")
            entries = self.found.get((_group(other) if other else group, key)) or self.found.get(
                ("DEFAULT", key)
            )
            if not entries or depth >= _DEPTH:
                return match[0]  # the default of an option, which is not in the files
            return self._filled(entries[-1].raw, entries[-1].group, depth + 1)

        if "$" not in raw:
            return raw
        return _VARIABLE.sub(replacement, raw.replace(r"\$", "$$"))


def parse(name: str, text: str) -> IniFile:
    """Parse one file; never raises."""
    *whole, rest = text.split("\n")
    lines = [line + "\n" for line in whole] + ([rest] if rest else [])
    reader = _Reader(name)
    for number, line in enumerate(lines, start=1):
        reader.take(number, line.rstrip())
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


def _group(name: str) -> str:
    return "DEFAULT" if name.upper() == "DEFAULT" else name.lower()


class _Reader:
    """Reads the lines of one file in order."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.group = "DEFAULT"
        self.groups: dict[str, int] = {}
        self.entries: list[Assignment] = []
        self.unreadable: list[UnreadableLine] = []
        self.open = False

    def take(self, number: int, line: str) -> None:
        """Read one line, without its line end."""
        if not line:
            self.open = False
        elif line[0] in " \t":
            self._continue(number, line)
        elif line[0] == "[":
            self.open = False
            self._start(number, line)
        elif line[0] in "#;":
            self.open = False
        else:
            self._assign(number, line)

    def _refuse(self, number: int, line: str, why: str) -> None:
        self.unreadable.append(UnreadableLine(self.name, number, line, why))

    def _continue(self, number: int, line: str) -> None:
        if not self.open:
            self._refuse(number, line, "starts with a blank but continues no value")
            return
        last = self.entries[-1]
        self.entries[-1] = Assignment(
            last.group, last.key, f"{last.raw}\n{line.lstrip()}", last.file, last.number, last.count + 1
        )

    def _start(self, number: int, line: str) -> None:
        if len(line) <= 2 or not line.endswith("]"):
            self._refuse(number, line, "is not a [section]")
            return
        self.group = _group(line[1:-1])
        self.groups.setdefault(self.group, number)

    def _assign(self, number: int, line: str) -> None:
        match = re.match(r"([^:=]*)[:=](.*)", line)
        key = match[1].strip() if match else ""
        self.open = bool(key)
        if not match or not key:
            self._refuse(number, line, "is not `key = value`")
            return
        value = match[2].strip()
        if value and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        self.entries.append(Assignment(self.group, key, value, self.name, number))
