"""What Heat and its libraries make of an option, by Heat release: looked up in options.json.

`bin/option-tables` writes the table from the released packages. Each release is in it with the libraries of
its own day, the maintained ones also with the newest libraries. A set of these installations is a bit mask.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from enum import Enum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from calorimeter.core import files

MAINTAINED = 24
"""The oldest release that a file is judged against if its release is not known."""

_CLOSE = 0.85
_LONGEST = 100
_HEAT = "openstack-heat"


class Reading(Enum):
    """What the judged releases make of an option."""

    READ = "they read it"
    RENAMED = "they read it, as the old name of another option"
    ENDING = "they read it, and will drop it"
    DROPPED = "some read it, newer ones do not"
    GONE = "older releases read it"
    COMING = "newer releases read it"
    UNKNOWN = "no release in the table reads it"


@dataclass(frozen=True, slots=True)
class OptionName:
    """A group and an option in it."""

    group: str
    key: str

    def __str__(self) -> str:
        return f"[{self.group}] {self.key}"


@dataclass(frozen=True, slots=True)
class Installation:
    """One installed Heat: its version and those of its libraries; `newest`: with the newest libraries."""

    heat: str
    newest: bool
    versions: dict[str, str]

    @property
    def release(self) -> int:
        """The major version of Heat."""
        return int(self.heat.partition(".")[0])

    def of(self, distribution: str) -> str:
        """`oslo.messaging 17.3.0 (Heat 26)`, or only `Heat 26` for an option of Heat's own."""
        heat = f"Heat {self.release}"
        version = self.versions.get(distribution)
        if distribution == _HEAT or version is None:
            return heat
        return f"{distribution} {version}" if self.newest else f"{distribution} {version} ({heat})"


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What is known of an option: `instead` replaces it, `last` and `first` name who reads it.

    `last` is the last installation that reads it and `first` the first one that does not any longer, or, of
    an option that is COMING, that does. `removal` is the library's reason to drop it. `kinds` describe its
    value.
    """

    reading: Reading
    distribution: str = ""
    instead: tuple[OptionName, ...] = ()
    last: str = ""
    first: str = ""
    removal: str = ""
    kinds: tuple[dict[str, Any], ...] = ()

    @property
    def own(self) -> bool:
        """Whether the option is Heat's own, not a library's."""
        return self.distribution == _HEAT


@dataclass(frozen=True, slots=True)
class _Known:
    """One name: the installations that read it as an option, and those that read it as an old name."""

    options: tuple[tuple[int, dict[str, Any]], ...] = ()
    renamed: tuple[tuple[int, OptionName, str], ...] = ()

    @property
    def own(self) -> int:
        return _union(mask for mask, _ in self.options)

    @property
    def mask(self) -> int:
        return self.own | _union(mask for mask, _, _ in self.renamed)


@dataclass(frozen=True, slots=True)
class _Table:
    installations: tuple[Installation, ...]
    names: dict[OptionName, _Known]
    groups: dict[str, int]

    def scope(self, release: int | None) -> int:
        """The installations of a release; of all maintained ones if it is not known."""
        top = max(each.release for each in self.installations)
        wanted = None if release is None else min(release, top)
        return _union(
            1 << index
            for index, each in enumerate(self.installations)
            if (each.release >= MAINTAINED if wanted is None else each.release == wanted)
        )

    def by_age(self, mask: int) -> list[Installation]:
        """The installations of a mask, the oldest libraries first."""
        return [each for index, each in enumerate(self.installations) if mask >> index & 1]


def _union(masks: Iterator[int]) -> int:
    result = 0
    for mask in masks:
        result |= mask
    return result


@cache
def _table() -> _Table:
    data = files.read_json(Path(__file__).with_name("options.json"))
    installations = tuple(
        Installation(each["heat"], each["newest"], each["versions"]) for each in data["environments"]
    )
    found: dict[OptionName, _Known] = {}
    for group, index in data["groups"].items():
        for key, variants in data["options"][index].items():
            name = OptionName(group, key)
            pairs = [(mask, data["kinds"][kind]) for mask, kind in variants]
            before = found.get(name, _Known())
            found[name] = _Known((*before.options, *pairs), before.renamed)
            for mask, kind in pairs:
                for old in _old_names(name, kind):
                    known = found.get(old, _Known())
                    found[old] = _Known(known.options, (*known.renamed, (mask, name, kind["from"])))
    groups: dict[str, int] = {}
    for name, known in found.items():
        groups[name.group] = groups.get(name.group, 0) | known.mask
    return _Table(installations, found, groups)


def _old_names(name: OptionName, kind: dict[str, Any]) -> Iterator[OptionName]:
    for group, key in kind.get("deprecated", ()):
        group = group or name.group  # noqa: PLW2901 - oslo.config's own default
        old = OptionName(group if group == "DEFAULT" else group.lower(), key or name.key)
        if old != name:
            yield old


def releases() -> tuple[int, int]:
    """The oldest and the newest release in the table."""
    found = [each.release for each in _table().installations]
    return min(found), max(found)


def installations() -> tuple[Installation, ...]:
    """What the table was made from."""
    return _table().installations


def _plain_group(group: str) -> str:
    # With `multi_cloud` each cloud has a group [ec2authtoken.NAME].
    return "ec2authtoken" if group.startswith("ec2authtoken.") else group


@lru_cache(maxsize=4096)
def look_up(group: str, key: str, release: int | None = None) -> LookedUp:
    """What a release of Heat makes of an option; without a release, what the maintained ones make of it."""
    table = _table()
    known = table.names.get(OptionName(_plain_group(group), key))
    if known is None:
        return LookedUp(Reading.UNKNOWN)
    scope = table.scope(release)
    reads = known.mask & scope
    kinds = tuple(kind for mask, kind in known.options if mask & (reads or known.mask))
    owner = kinds[-1]["from"] if kinds else known.renamed[-1][2]
    found = LookedUp(Reading.READ, owner, kinds=kinds)
    if not reads:
        readers = table.by_age(known.mask)
        if release is not None and all(each.release > release for each in readers):
            return replace(found, reading=Reading.COMING, first=readers[0].of(owner))
        return _dropped(replace(found, reading=Reading.GONE), table, known, scope)
    if not _newest(scope) & known.mask:
        return _dropped(replace(found, reading=Reading.DROPPED), table, known, scope)
    if not known.own & reads:
        return replace(found, reading=Reading.RENAMED, instead=_instead(known, reads))
    removal = [
        kind["removal"] for mask, kind in known.options if mask & _newest(reads) and "removal" in kind
    ]
    return replace(found, reading=Reading.ENDING, removal=removal[0]) if removal else found


def _newest(mask: int) -> int:
    """The installation with the newest libraries."""
    return 1 << (mask.bit_length() - 1)


def _instead(known: _Known, reads: int) -> tuple[OptionName, ...]:
    return tuple(dict.fromkeys(name for mask, name, _ in known.renamed if mask & reads))


def _dropped(found: LookedUp, table: _Table, known: _Known, scope: int) -> LookedUp:
    last = known.mask.bit_length() - 1
    read = (name for name in _instead(known, known.mask) if table.names[name].mask & _newest(scope))
    return replace(
        found,
        instead=tuple(read),
        last=table.installations[last].of(found.distribution),
        first=table.installations[last + 1].of(found.distribution),
        removal=next((kind["removal"] for kind in reversed(found.kinds) if kind.get("removal")), ""),
    )


def known_group(group: str) -> bool:
    """Whether any release in the table has options in this group."""
    return _plain_group(group) in _table().groups


@lru_cache(maxsize=4096)
def near_group(group: str, release: int | None = None) -> str | None:
    """The group whose name is almost this one, and of which the judged releases read options."""
    table = _table()
    scope = table.scope(release)
    return _nearest(group, [name for name, mask in table.groups.items() if mask & scope])


@lru_cache(maxsize=4096)
def near_key(group: str, key: str, release: int | None = None) -> str | None:
    """The option of this group whose name is almost this one, and that the judged releases read."""
    table = _table()
    scope = table.scope(release)
    keys = [name.key for name, known in table.names.items() if name.group == group and known.own & scope]
    return _nearest(key, keys)


def known(text: str, group: str) -> bool:
    """Whether any release has the option that `$NAME` or `$GROUP.NAME` means in a value of this group."""
    other, dot, key = text.partition(".")
    places = [(other, key)] if dot else [(group, text), ("DEFAULT", text)]
    return any(OptionName(*place) in _table().names for place in places)


@cache
def known_keys() -> frozenset[str]:
    """The names of all options of all groups and releases in the table."""
    return frozenset(name.key for name in _table().names)


@lru_cache(maxsize=4096)
def almost(key: str, keys: frozenset[str]) -> str | None:
    """The name among `keys` that is almost this one; None for an option that the table has."""
    return None if key in known_keys() else _nearest(key, keys)


@lru_cache(maxsize=4096)
def elsewhere(group: str, key: str, release: int | None = None) -> tuple[str, ...]:
    """The other groups that have an option of this name."""
    table = _table()
    scope = table.scope(release)
    return tuple(
        name.group
        for name, known in table.names.items()
        if name.key == key and name.group != group and known.own & scope
    )


def _nearest(name: str, valid: Any) -> str | None:
    if len(name) > _LONGEST:
        return None  # the comparison takes the square of the length
    scored = [(SequenceMatcher(None, name, other).ratio(), other) for other in valid if other != name]
    best = max(scored, default=(0.0, ""))
    return best[1] if best[0] >= _CLOSE else None
