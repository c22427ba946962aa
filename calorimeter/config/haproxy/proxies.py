"""Resolves a parsed HAProxy configuration: every proxy section with the values in force.

Inheritance (manual, section 4 "Proxies"): a proxy inherits from the last `defaults` section before it, or
from the one that it names with `from`. A `defaults` section inherits only from one that it names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calorimeter.config.haproxy import servers as server_lines
from calorimeter.config.haproxy.servers import Bind, Server
from calorimeter.config.haproxy.text import PROXIES, Line, Section, Tree
from calorimeter.config.haproxy.units import integer_or_none, seconds_or_none
from calorimeter.core.deployment import Checks

_INHERITED_LISTS = ("log", "default-server", "http-check", "stick")
_OWN_LISTS = ("bind", "server", "server-template", "use_backend", "acl", "stats", "errorfile")
_TWO_WORDS = ("timeout", "option")
_DEFAULTS = {"mode": "tcp", "balance": "roundrobin", "hash-type": "map-based", "retries": "3"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One statement in force: its words after the keyword, and its line."""

    words: tuple[str, ...]
    line: Line

    @property
    def text(self) -> str:
        """The words, joined by spaces."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Values:
    """The values in force in a section: `single` statements, and `lists` of statements that may repeat.

    Keys are the keyword of a statement (`balance`), `option NAME` and `timeout NAME`. An option that `no`
    switches off is absent.
    """

    single: Mapping[str, Setting] = field(default_factory=dict)
    lists: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)

    def get(self, key: str) -> Setting | None:
        """The statement in force for `key`; None if absent."""
        return self.single.get(key)

    def all(self, key: str) -> tuple[Setting, ...]:
        """All statements of a keyword that may repeat."""
        return self.lists.get(key, ())


@dataclass(frozen=True, slots=True)
class Proxy:
    """A `listen`, `frontend` or `backend` section; `values` include the inherited ones."""

    section: Section
    values: Values
    binds: tuple[Bind, ...] = ()
    servers: tuple[Server, ...] = ()

    @property
    def name(self) -> str:
        """The name of the section."""
        return self.section.name

    @property
    def kind(self) -> str:
        """`listen`, `frontend` or `backend`."""
        return self.section.kind

    @property
    def line(self) -> Line:
        """The line that starts the section."""
        return self.section.header

    def word(self, key: str) -> str:
        """The first word of a statement; HAProxy's default, or else empty, if the statement is absent."""
        setting = self.values.get(key)
        return setting.words[0] if setting and setting.words else _DEFAULTS.get(key, "")

    def option(self, *names: str) -> Setting | None:
        """The first of the options `names` that is on."""
        return next((found for name in names if (found := self.values.get(f"option {name}"))), None)

    def timeout_s(self, name: str) -> float | None:
        """A timeout in seconds; None if it is not set."""
        setting = self.values.get(f"timeout {name}")
        return seconds_or_none(setting.words[0]) if setting and setting.words else None

    def checks(self, server: Server) -> Checks:
        """How HAProxy checks a server of this section."""
        return Checks(
            inter_s=server.inter_s,
            fall=server.fall,
            rise=server.rise,
            fastinter_s=server.time_s("fastinter") or None,
            downinter_s=server.time_s("downinter") or None,
            timeout_check_s=self.timeout_s("check") or None,
            timeout_connect_s=self.timeout_s("connect") or None,
        )

    @property
    def maxconn(self) -> int | None:
        """The section's own or inherited `maxconn`."""
        return integer_or_none(self.word("maxconn") or None)


@dataclass(frozen=True, slots=True)
class Service:
    """A path from binds to servers: a `listen` section, or a frontend with a backend that it uses."""

    front: Proxy
    back: Proxy

    @property
    def name(self) -> str:
        """The name of the section with the servers."""
        return self.back.name


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole HAProxy configuration, resolved."""

    tree: Tree
    globals: Values
    proxies: tuple[Proxy, ...]

    @property
    def services(self) -> tuple[Service, ...]:
        """Every path from binds to servers, in the order of the `listen` and `frontend` sections."""
        by_name = {proxy.name: proxy for proxy in self.proxies if proxy.kind in ("backend", "listen")}
        found: list[Service] = []
        for proxy in self.proxies:
            if proxy.kind == "listen" and proxy.servers:
                found.append(Service(proxy, proxy))
            names = [proxy.word("default_backend")] if proxy.kind != "backend" else []
            names += [use.words[0] for use in proxy.values.all("use_backend") if use.words]
            for name in dict.fromkeys(names):
                back = by_name.get(name)
                if back and back is not proxy and back.servers:
                    found.append(Service(proxy, back))
        return tuple(found)

    @property
    def global_section(self) -> Section | None:
        """The first `global` section."""
        return next((section for section in self.tree.sections if section.kind == "global"), None)


def resolve(tree: Tree) -> Configuration:
    """Resolve inheritance in a tree; never raises."""
    named: dict[str, Values] = {}
    latest = Values()
    globals_ = Values()
    proxies: list[Proxy] = []
    for section in tree.sections:
        if section.kind == "global":
            globals_ = _merge(globals_, section)
        elif section.kind == "defaults":
            latest = _merge(named.get(section.parent or "", Values()), section)
            if section.name:
                named[section.name] = latest
        elif section.kind in PROXIES:
            inherited = named.get(section.parent, Values()) if section.parent else latest
            proxies.append(_proxy(section, inherited))
    return Configuration(tree, globals_, tuple(proxies))


def _proxy(section: Section, inherited: Values) -> Proxy:
    values = _merge(replace(inherited, lists=_inheritable(inherited.lists)), section)
    binds = [server_lines.bind(setting.line) for setting in values.all("bind")]
    servers: list[Server] = []
    defaults = [s.line for s in inherited.lists.get("default-server", ())]
    for line in section.statements:
        if line.keyword == "default-server":
            defaults.append(line)
        elif line.keyword in ("server", "server-template"):
            servers.extend(server_lines.servers(line, defaults))
    return Proxy(section, values, tuple(bind for group in binds for bind in group), tuple(servers))


def _inheritable(lists: Mapping[str, tuple[Setting, ...]]) -> dict[str, tuple[Setting, ...]]:
    return {key: value for key, value in lists.items() if key in _INHERITED_LISTS}


def _merge(inherited: Values, section: Section) -> Values:
    single = dict(inherited.single)
    lists = dict(inherited.lists)
    for line in section.statements:
        words = line.words
        negated = words[0] in ("no", "default")
        if negated:
            words = words[1:]
        if not words:
            continue
        keyword = words[0]
        length = 2 if keyword in _TWO_WORDS and len(words) > 1 else 1
        key = " ".join(words[:length])
        if negated:
            single.pop(key, None)
            lists.pop(key, None)
        elif keyword in _INHERITED_LISTS or keyword in _OWN_LISTS:
            lists[keyword] = (*lists.get(keyword, ()), Setting(words[1:], line))
        else:
            single[key] = Setting(words[length:], line)
            if key in ("option httpchk", "option tcp-check"):
                # Each of the two options replaces the other: the last one wins.
                single.pop("option tcp-check" if key == "option httpchk" else "option httpchk", None)
    return Values(single, lists)
