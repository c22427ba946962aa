"""Stats pages: the `stats` statements of a proxy section."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calorimeter.config.haproxy.text import HAProxyLine
from calorimeter.config.haproxy.values import Statement

_DEFAULT_URI = "/haproxy?stats"


@dataclass(frozen=True, slots=True)
class ConfiguredStats:
    """A stats page: its URI, the first `USER:PASSWORD` that opens it, and the sections that it shows.

    `scope` is empty if it shows every section; `.` in it means its own section.
    """

    uri: str
    login: str | None
    scope: tuple[str, ...]
    line: HAProxyLine

    def shows(self, section: str) -> bool:
        """Whether it shows a section of that name (of another section than its own)."""
        return not self.scope or section in self.scope


def stats_page(settings: Sequence[Statement]) -> ConfiguredStats | None:
    """The page of `stats` statements; any of them makes one. None if there is no statement."""
    if not settings:
        return None
    uri, login, scope = _DEFAULT_URI, None, []
    for setting in settings:
        match setting.words:
            case ("uri", given, *_):
                uri = given
            case ("auth", given, *_):
                login = login or given
            case ("scope", given, *_):
                scope.append(given)
    return ConfiguredStats(uri, login, tuple(scope), settings[0].line)
