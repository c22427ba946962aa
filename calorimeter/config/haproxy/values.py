"""The statements in force in a section: its own, and those that it inherits from `defaults`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calorimeter.config.haproxy.http_checks import CHECK_OPTIONS, HealthRules
from calorimeter.config.haproxy.text import HAProxyLine, HAProxySection

_INHERITED_LISTS = ("log", "default-server", "http-check", "stats")
_OWN_LISTS = ("bind", "server", "server-template", "use_backend", "acl", "stick", "errorfile")
_TWO_WORDS = ("timeout", "option")
_OLD_TIMEOUTS = {"clitimeout": "client", "contimeout": "connect", "srvtimeout": "server"}
_OPPOSITES = {"disabled": "enabled", "enabled": "disabled"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement in force: its words after the keyword, and its line."""

    words: tuple[str, ...]
    line: HAProxyLine

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Values:
    """The values in force in a section: `single` statements, and `lists` of statements that may repeat.

    Keys are the keyword of a statement (`balance`), `option NAME` and `timeout NAME`. An option that `no`
    switches off is absent. `health` are the rules of health checks.
    """

    single: Mapping[str, Statement] = field(default_factory=dict)
    lists: Mapping[str, tuple[Statement, ...]] = field(default_factory=dict)
    health: HealthRules = field(default_factory=HealthRules)

    def get(self, key: str) -> Statement | None:
        """The statement in force for `key`; None if there is none."""
        return self.single.get(key)

    def all(self, key: str) -> tuple[Statement, ...]:
        """All statements of a keyword that may repeat."""
        return self.lists.get(key, ())

    def inheritable(self) -> Values:
        """What a proxy inherits from a `defaults` section with these values."""
        lists = {key: value for key, value in self.lists.items() if key in _INHERITED_LISTS}
        return replace(self, lists=lists)

    def extended(self, section: HAProxySection) -> Values:
        """The values after the statements of a section."""
        reading = _Reading(dict(self.single), dict(self.lists), self.health.inherited())
        if section.kind != "global" and any(line.keyword == "stats" for line in section.statements):
            reading.lists.pop("stats", None)  # own `stats` lines replace all inherited ones
        for line in section.statements:
            reading.read(line)
        return Values(reading.single, reading.lists, reading.health)


def in_new_words(words: tuple[str, ...]) -> tuple[str, ...]:
    """A statement of HAProxy 1 in the words of HAProxy 2: `contimeout 5s` is `timeout connect 5s`."""
    old = words[1:] if words[:1] == ("timeout",) else words
    if old and old[0] in _OLD_TIMEOUTS:
        return ("timeout", _OLD_TIMEOUTS[old[0]], *old[1:])
    return ("option", *words) if words[:1] == ("redispatch",) else words


@dataclass(slots=True)
class _Reading:
    """The values while the lines of a section are read."""

    single: dict[str, Statement]
    lists: dict[str, tuple[Statement, ...]]
    health: HealthRules

    def read(self, line: HAProxyLine) -> None:
        negated = line.keyword in ("no", "default")
        words = in_new_words(line.words[1:] if negated else line.words)
        if not words:
            return
        keyword = words[0]
        length = 2 if keyword in _TWO_WORDS and len(words) > 1 else 1
        key = " ".join(words[:length])
        if negated:
            self.single.pop(key, None)
            self.lists.pop(key, None)
            return
        if keyword in _INHERITED_LISTS or keyword in _OWN_LISTS:
            self.lists[keyword] = (*self.lists.get(keyword, ()), Statement(words[1:], line))
        else:
            self.single[key] = Statement(words[length:], line)
        self.single.pop(_OPPOSITES.get(key, ""), None)
        if length == 2 and words[1] in CHECK_OPTIONS:
            for other in CHECK_OPTIONS - {words[1]}:
                self.single.pop(f"option {other}", None)  # the last one wins
        self.health = self.health.after(words, line)
