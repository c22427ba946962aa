"""HAProxy configuration text as a tree that loses nothing: `render(parse(x)) == x`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from calorimeter.config.haproxy import words as splitting
from calorimeter.config.haproxy.conditions import Conditions
from calorimeter.config.haproxy.words import Words
from calorimeter.core.errors import InputError

_SECTIONS = """
    global defaults listen frontend backend userlist peers mailers resolvers cache program http-errors
    fcgi-app ring log-forward log-profile namespace_list traces crt-store acme
"""
SECTIONS = frozenset(_SECTIONS.split())
"""The words that start a section (manual, section 2.1, and later releases)."""

PROXIES = frozenset({"listen", "frontend", "backend"})


@dataclass(frozen=True, slots=True)
class Line:
    """One line: where it stands, its text with its line end, and its words.

    `active` is False for lines that an `.if` switches off, and for the `.if` lines themselves.
    """

    file: str
    number: int
    text: str
    parsed: Words
    active: bool = True

    @property
    def words(self) -> tuple[str, ...]:
        """The words, quotes and escapes resolved; empty for a comment or an empty line."""
        return self.parsed.words

    @property
    def keyword(self) -> str:
        """The first word, or nothing."""
        return self.parsed.words[0] if self.parsed.words else ""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: the line that starts it and all lines up to the next."""

    header: Line
    lines: tuple[Line, ...]

    @property
    def kind(self) -> str:
        """`global`, `defaults`, `listen`, `frontend`, `backend`, or another."""
        return self.header.keyword

    @property
    def name(self) -> str:
        """The name it is given, empty where it is given none."""
        words = self.header.words
        return words[1] if len(words) > 1 and words[1] != "from" else ""

    @property
    def parent(self) -> str | None:
        """The `defaults` section it names with `from`, if it does."""
        words = self.header.words
        at = words.index("from") if "from" in words[1:] else 0
        return words[at + 1] if 0 < at < len(words) - 1 else None

    @property
    def statements(self) -> Iterator[Line]:
        """The lines that say something."""
        return (line for line in self.lines if line.keyword and line.active)


@dataclass(frozen=True, slots=True)
class File:
    """One file: the lines before its first section, and its sections."""

    name: str
    preamble: tuple[Line, ...]
    sections: tuple[Section, ...]

    @property
    def lines(self) -> Iterator[Line]:
        """All lines in their order."""
        yield from self.preamble
        for section in self.sections:
            yield section.header
            yield from section.lines


@dataclass(frozen=True, slots=True)
class Tree:
    """The files of one HAProxy, in the order it was given them (`-f` several times)."""

    files: tuple[File, ...]

    @property
    def sections(self) -> Iterator[Section]:
        """All sections in their order."""
        return (section for file in self.files for section in file.sections)

    @property
    def lines(self) -> Iterator[Line]:
        """All lines in their order."""
        return (line for file in self.files for line in file.lines)


def parse(texts: Iterable[tuple[str, str]], environment: Mapping[str, str] | None = None) -> Tree:
    """Parse (file name, text) pairs in order; never raises.

    `environment` is what HAProxy is started with; the files change it with `setenv` and the like.
    """
    variables = dict(environment or {})
    return Tree(tuple(_file(name, text, variables) for name, text in texts))


def read(paths: Iterable[Path], environment: Mapping[str, str] | None = None) -> Tree:
    """Parse files; a folder is all its `*.cfg` in order of name, as HAProxy takes it.

    Raises `InputError` where one cannot be read. Without `environment`, this process's is taken.
    """
    texts = []
    for path in paths:
        for file in sorted(path.glob("*.cfg")) if path.is_dir() else [path]:
            try:
                # Bytes that are no UTF-8 are kept: HAProxy does not mind them in comments.
                text = file.read_bytes().decode("utf-8", "surrogateescape")
                texts.append((str(file), text))
            except OSError as problem:
                raise InputError(str(file), f"cannot be read ({problem.strerror})") from problem
    return parse(texts, os.environ if environment is None else environment)


def render(file: File) -> str:
    """The text of a file, exactly as it was parsed."""
    return "".join(line.text for line in file.lines)


def _file(name: str, text: str, variables: dict[str, str]) -> File:
    preamble: list[Line] = []
    sections: list[tuple[Line, list[Line]]] = []
    conditions = Conditions(variables)
    for number, raw in enumerate(_lines(text), start=1):
        line = _line(name, number, raw, conditions)
        if line.active and line.keyword in SECTIONS:
            sections.append((line, []))
            continue
        (sections[-1][1] if sections else preamble).append(line)
        if line.active and sections and sections[-1][0].keyword == "global":
            _change(variables, line.words)
    return File(name, tuple(preamble), tuple(Section(head, tuple(lines)) for head, lines in sections))


def _lines(text: str) -> list[str]:
    # str.splitlines would also split at form feeds and the like, where HAProxy does not.
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])


def _line(name: str, number: int, raw: str, conditions: Conditions) -> Line:
    parsed = splitting.split(raw.removesuffix("\n"), conditions.variables)
    return Line(name, number, raw, parsed, conditions.step(parsed.words))


def _change(variables: dict[str, str], words: tuple[str, ...]) -> None:
    """Carry out what a line of `global` does to the environment."""
    match words:
        case ("setenv", name, value, *_):
            variables[name] = value
        case ("presetenv", name, value, *_):
            variables.setdefault(name, value)
        case ("unsetenv", *names):
            for name in names:
                variables.pop(name, None)
        case ("resetenv", *names):
            for name in set(variables) - set(names):
                del variables[name]
