"""HAProxy configuration text as a lossless tree: the text of a parsed file is the text that was parsed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from calorimeter.config.haproxy.conditions import Conditions
from calorimeter.config.haproxy.variables import Variables
from calorimeter.core.secrecy import haproxy_words as word_rules
from calorimeter.core.secrecy.haproxy_words import Words

_SECTIONS = """
    global defaults listen frontend backend userlist peers mailers resolvers cache program http-errors
    fcgi-app ring log-forward log-profile namespace_list traces crt-store acme
"""
SECTIONS = frozenset(_SECTIONS.split())
"""Keywords that start a section (manual, section 2.1, and later releases)."""

PROXIES = frozenset({"listen", "frontend", "backend"})


@dataclass(frozen=True, slots=True)
class HAProxyLine:
    """One line: its file and number, its text with the line end, and its words.

    `active` is False for lines that an `.if` switches off, and for the `.if` lines themselves.
    `environment` holds the variables at this line.
    """

    file: str
    number: int
    text: str
    parsed: Words
    active: bool = True
    environment: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """The words with quotes and escapes resolved; empty for a comment or a blank line."""
        return self.parsed.words

    @property
    def keyword(self) -> str:
        """The first word; empty for a comment or a blank line."""
        return self.parsed.words[0] if self.parsed.words else ""


@dataclass(frozen=True, slots=True)
class HAProxySection:
    """A section: the line that starts it, and all lines up to the next section."""

    header: HAProxyLine
    lines: tuple[HAProxyLine, ...]

    @property
    def kind(self) -> str:
        """`global`, `defaults`, `listen`, `frontend`, `backend`, or another."""
        return self.header.keyword

    @property
    def name(self) -> str:
        """The name; empty if the section has none."""
        words = self.header.words
        return words[1] if len(words) > 1 and words[1] != "from" else ""

    @property
    def parent(self) -> str | None:
        """The `defaults` section that it names with `from`; None if it names none."""
        words = self.header.words
        at = words.index("from") if "from" in words[1:] else 0
        return words[at + 1] if 0 < at < len(words) - 1 else None

    @property
    def has_address(self) -> bool:
        """Whether its first line has an address, as HAProxy 1 allowed it: `listen NAME ADDRESS:PORT`."""
        return self.kind in ("listen", "frontend") and self.header.words[2:3] not in ((), ("from",))

    @property
    def statements(self) -> Iterator[HAProxyLine]:
        """The active lines, without comments and blank lines."""
        return (line for line in self.lines if line.keyword and line.active)


@dataclass(frozen=True, slots=True)
class HAProxyFile:
    """One file: the lines before its first section, and its sections."""

    name: str
    preamble: tuple[HAProxyLine, ...]
    sections: tuple[HAProxySection, ...]

    @property
    def lines(self) -> Iterator[HAProxyLine]:
        """All lines, in order."""
        yield from self.preamble
        for section in self.sections:
            yield section.header
            yield from section.lines

    @property
    def text(self) -> str:
        """The text of the file, exactly as it was parsed."""
        return "".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class HAProxyFiles:
    """The files of one HAProxy, in the order of its `-f` options."""

    files: tuple[HAProxyFile, ...]

    @property
    def sections(self) -> Iterator[HAProxySection]:
        """All sections, in order."""
        return (section for file in self.files for section in file.sections)

    @property
    def lines(self) -> Iterator[HAProxyLine]:
        """All lines, in order."""
        return (line for file in self.files for line in file.lines)


def parse(texts: Iterable[tuple[str, str]], environment: Mapping[str, str] | None = None) -> HAProxyFiles:
    """Parse (file name, text) pairs in order; never raises.

    `environment` is the one that HAProxy starts with; `setenv` and its relatives in the files change it.
    """
    conditions = Conditions(Variables.of(environment or {}))
    return HAProxyFiles(tuple(_file(name, text, conditions) for name, text in texts))


def _file(name: str, text: str, conditions: Conditions) -> HAProxyFile:
    preamble: list[HAProxyLine] = []
    sections: list[tuple[HAProxyLine, list[HAProxyLine]]] = []
    conditions.blocks.clear()
    for number, raw in enumerate(_lines(text), start=1):
        line = _line(name, number, raw, conditions)
        if line.active and line.keyword in SECTIONS:
            sections.append((line, []))
            continue
        (sections[-1][1] if sections else preamble).append(line)
        if line.active and sections and sections[-1][0].keyword == "global":
            conditions.variables = conditions.variables.after(line.words)
    return HAProxyFile(
        name, tuple(preamble), tuple(HAProxySection(head, tuple(lines)) for head, lines in sections)
    )


def _lines(text: str) -> list[str]:
    # str.splitlines would also split at form feeds and the like, where HAProxy does not.
    *whole, rest = text.split("\n")
    return [line + "\n" for line in whole] + ([rest] if rest else [])


def _line(name: str, number: int, raw: str, conditions: Conditions) -> HAProxyLine:
    parsed = word_rules.split(raw.removesuffix("\n"), conditions.variables)
    return HAProxyLine(name, number, raw, parsed, conditions.step(parsed.words), conditions.variables)
