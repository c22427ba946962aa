"""The environment variables at each line of HAProxy's configuration, which `setenv` and others change."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping


class Variables(Mapping[str, str]):
    """The variables at one line. All lines share one history: a file may change as many as it has lines."""

    def __init__(
        self, history: dict[str, list[tuple[int, str | None]]], alive: set[str], version: int
    ) -> None:
        self._history = history
        self._alive = alive
        self._version = version

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Variables:
        """The variables that HAProxy starts with."""
        return cls({name: [(0, value)] for name, value in environment.items()}, set(environment), 0)

    def after(self, words: tuple[str, ...]) -> Variables:
        """The variables after a line of `global`; only those of the last line can be changed."""
        match words:
            case ("setenv", name, value, *_):
                return self._changed({name: value})
            case ("presetenv", name, value, *_):
                return self if name in self else self._changed({name: value})
            case ("unsetenv", *names):
                return self._changed(dict.fromkeys(self._alive.intersection(names)))
            case ("resetenv", *names):
                return self._changed(dict.fromkeys(self._alive.difference(names)))
        return self

    def _changed(self, values: Mapping[str, str | None]) -> Variables:
        for name, value in values.items():
            self._history.setdefault(name, []).append((self._version + 1, value))
            (self._alive.discard if value is None else self._alive.add)(name)
        return Variables(self._history, self._alive, self._version + 1)

    def __getitem__(self, name: str) -> str:
        changes = self._history.get(name, [])
        at = bisect_right(changes, self._version, key=lambda change: change[0])
        value = changes[at - 1][1] if at else None
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._history if self.get(name) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)
