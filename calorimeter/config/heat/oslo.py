"""Files of oslo.config (heat.conf): every value with its file and line, nothing lost.

The rules are those of oslo.config's own reader: `key = value` or `key: value`, continuation lines
start with a blank, the last value of a key wins, later files win over earlier ones, `$name` and
`$group.name` stand for other options of the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError

_VARIABLE = re.compile(r"\$(?:(\$)|([_a-z][._a-z0-9]*)|\{([_a-z][._a-z0-9]*)\})", re.IGNORECASE)
_TRUE = frozenset({"true", "1", "on", "yes"})
_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One assignment: its group, key and value as written, and the lines it takes."""

    group: str
    key: str
    raw: str
    file: str
    number: int
    count: int = 1


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that oslo.config refuses: a service given this file does not start."""

    file: str
    number: int
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class IniFile:
    """One file: its lines with their ends, its assignments, its groups' first lines, its faults."""

    name: str
    lines: tuple[str, ...]
    entries: tuple[Entry, ...]
    groups: tuple[tuple[str, int], ...]
    faults: tuple[Fault, ...]

    @property
    def text(self) -> str:
        """The text, exactly as it was parsed."""
        return "".join(self.lines)


@dataclass(frozen=True, slots=True)
class Value:
    """A value in force, with what its `$name`s stand for put in, and where it is written."""

    text: str
    entry: Entry

    @property
    def true(self) -> bool:
        """The value as oslo.config reads a boolean."""
        return self.text.strip().lower() in _TRUE

    @property
    def number(self) -> int | None:
        """The value as a whole number, None where it is none."""
        text = self.text.strip()
        return int(text) if re.fullmatch(r"-?[0-9]{1,15}", text, re.ASCII) else None


@dataclass(frozen=True, slots=True)
class Options:
    """The options of one process: its files in the order of its `--config-file`s."""

    files: tuple[IniFile, ...]
    found: dict[tuple[str, str], tuple[Entry, ...]]

    def get(self, key: str, group: str = "DEFAULT") -> Value | None:
        """The value in force, None where the files do not give it."""
        entries = self.found.get((group, key))
        return Value(self._filled(entries[-1].raw, group), entries[-1]) if entries else None

    def all(self, key: str, group: str = "DEFAULT") -> tuple[Value, ...]:
        """All values of an option that may be given several times."""
        return tuple(Value(self._filled(e.raw, group), e) for e in self.found.get((group, key), ()))

    def starting(self, *prefixes: str, group: str) -> Iterator[Value]:
        """The values in force of all options of a group that start with one of the prefixes."""
        for where, key in self.found:
            value = self.get(key, where) if where == group and key.startswith(prefixes) else None
            if value:
                yield value

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What oslo.config refuses in the files."""
        return tuple(fault for file in self.files for fault in file.faults)

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
                return match[0]  # an option's own default, which is not in the files
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
        name, tuple(lines), tuple(reader.entries), tuple(reader.groups.items()), tuple(reader.faults)
    )


def options(files: Iterable[IniFile]) -> Options:
    """The options of a process that is given these files in this order."""
    ordered = tuple(files)
    found: dict[tuple[str, str], tuple[Entry, ...]] = {}
    for file in ordered:
        for entry in file.entries:
            place = (entry.group, entry.key)
            found[place] = (*found.get(place, ()), entry)
    return Options(ordered, found)


def read(paths: Sequence[Path]) -> Options:
    """Read files in order; a folder is its `*.conf` in order of name, as `--config-dir` takes it.

    Raises `InputError` where one cannot be read.
    """
    files = []
    for path in paths:
        for file in sorted(path.glob("*.conf")) if path.is_dir() else [path]:
            try:
                text = file.read_bytes().decode("utf-8", "surrogateescape")
                files.append(parse(str(file), text))
            except OSError as problem:
                raise InputError(str(file), f"cannot be read ({problem.strerror})") from problem
    return options(files)


def _group(name: str) -> str:
    return "DEFAULT" if name.upper() == "DEFAULT" else name.lower()


class _Reader:
    """The lines of one file, one after another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.group = "DEFAULT"
        self.groups: dict[str, int] = {}
        self.entries: list[Entry] = []
        self.faults: list[Fault] = []
        self.open = False

    def take(self, number: int, line: str) -> None:
        """Take one line without its end."""
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
        self.faults.append(Fault(self.name, number, line, why))

    def _continue(self, number: int, line: str) -> None:
        if not self.open:
            self._refuse(number, line, "starts with a blank, and continues no value")
            return
        last = self.entries[-1]
        self.entries[-1] = Entry(
            last.group, last.key, f"{last.raw}\n{line.lstrip()}", last.file, last.number, last.count + 1
        )

    def _start(self, number: int, line: str) -> None:
        if len(line) <= 2 or not line.endswith("]"):
            self._refuse(number, line, "is no [section]")
            return
        self.group = _group(line[1:-1])
        self.groups.setdefault(self.group, number)

    def _assign(self, number: int, line: str) -> None:
        match = re.match(r"([^:=]*)[:=](.*)", line)
        key = match[1].strip() if match else ""
        self.open = bool(key)
        if not match or not key:
            self._refuse(number, line, "is no `key = value`")
            return
        value = match[2].strip()
        if value and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        self.entries.append(Entry(self.group, key, value, self.name, number))
