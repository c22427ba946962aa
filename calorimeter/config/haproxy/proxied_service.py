"""The paths from binds to servers: which sections a frontend hands its connections to, and why."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from calorimeter.config.haproxy.proxy_section import ProxySection
from calorimeter.config.haproxy.text import HAProxyLine
from calorimeter.config.haproxy.values import Statement

Via = Literal["listen", "default_backend", "use_backend", "dynamic"]
_VARIABLE = re.compile(r"%(?:\{[^}]{0,99}\})?(?:\[[^\]]{0,299}\]|\w+)")
_MAP_DEFAULT = re.compile(r"\bmap\w*\([^,()]+,([^,()]+)\)")


@dataclass(frozen=True, slots=True)
class ProxiedService:
    """A path from binds to servers: a `listen` section, or a frontend with a backend that it uses.

    `via` is how the front reaches the back, and `line` where that is said. It is `dynamic` if the name of
    the backend comes from an expression: then the front may use the back, but the files do not tell.
    """

    front: ProxySection
    back: ProxySection
    via: Via = "listen"
    line: HAProxyLine | None = None

    @property
    def name(self) -> str:
        """The name of the section with the servers."""
        return self.back.name


def routes(proxies: Sequence[ProxySection]) -> Iterator[ProxiedService]:
    """Every path from a front to a section that it uses, in the order of the fronts.

    Disabled sections are left out. A dynamic `use_backend` may use each backend that no other line names.
    """
    backs = {each.name: each for each in proxies if each.kind != "frontend" and not each.disabled}
    fronts = [each for each in proxies if each.kind != "backend" and not each.disabled]
    named = {name for front in fronts for _, name, _ in _static(front)}
    for front in fronts:
        found: dict[str, ProxiedService] = {}
        targets = [*_static(front), *_dynamic(front, [name for name in backs if name not in named], backs)]
        if front.kind == "listen" and (front.servers or not targets):
            found[front.name] = ProxiedService(front, front, "listen", front.line)
        for via, name, line in targets:
            if name in backs:
                found.setdefault(name, ProxiedService(front, backs[name], via, line))
        yield from found.values()


def _static(front: ProxySection) -> list[tuple[Via, str, HAProxyLine]]:
    """The backends that a front names. The first `use_backend` without a condition is the last one used."""
    found: list[tuple[Via, str, HAProxyLine]] = []
    default = front.values.get("default_backend")
    if default and default.words:
        found.append(("default_backend", default.words[0], default.line))
    for use in front.values.all("use_backend"):
        if not use.words or _is_dynamic(use):
            continue
        found.append(("use_backend", use.words[0], use.line))
        if use.words[1:2] not in (("if",), ("unless",)):
            return [each for each in found if each[0] != "default_backend"]
    return found


def _dynamic(
    front: ProxySection, unnamed: Sequence[str], backs: Mapping[str, ProxySection]
) -> Iterator[tuple[Via, str, HAProxyLine]]:
    """The backends that the expressions of a front can name: the default of a map, and those that fit."""
    for use in front.values.all("use_backend"):
        if not _is_dynamic(use):
            continue
        name = use.words[0]
        parts = _VARIABLE.split(name)
        defaults = [match[1].strip() for match in _MAP_DEFAULT.finditer(name)]
        for each in dict.fromkeys((*defaults, *unnamed)):
            if each in defaults or (backs[each].kind == "backend" and _fits(each, parts)):
                yield "dynamic", each, use.line


def _fits(name: str, parts: Sequence[str]) -> bool:
    """Whether a name is these parts with anything between them; as a pattern that takes very long."""
    first, *middle = parts
    last = middle.pop() if middle else ""
    if len(parts) == 1:
        return name == first
    if len(name) < len(first) + len(last) or not (name.startswith(first) and name.endswith(last)):
        return False
    at, end = len(first), len(name) - len(last)
    for part in middle:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _is_dynamic(use: Statement) -> bool:
    return bool(use.words) and "%" in use.words[0]
