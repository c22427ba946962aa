"""What a parsed HAProxy configuration means: every proxy with the values that are in force.

Inheritance (manual, section 4 "Proxies"): a proxy takes what the `defaults` section before it says,
or the one it names with `from`; a `defaults` section starts afresh unless it names another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from calorimeter.config.haproxy import servers as reading
from calorimeter.config.haproxy.servers import Bind, Server
from calorimeter.config.haproxy.text import PROXIES, Line, Section, Tree
from calorimeter.config.haproxy.units import number, seconds

_INHERITED_LISTS = ("log", "default-server", "http-check", "stick")
_OWN_LISTS = ("bind", "server", "server-template", "use_backend", "acl", "stats", "errorfile")
_TWO_WORDS = ("timeout", "option")
_FALLBACK = {"mode": "tcp", "balance": "roundrobin", "hash-type": "map-based", "retries": "3"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One statement in force: its words after the keyword, and its line."""

    words: tuple[str, ...]
    line: Line

    @property
    def text(self) -> str:
        """The words as one."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Values:
    """What is in force in a section: single statements, options, timeouts, and lists.

    A statement is under its keyword (`balance`), an option under `option NAME`, a timeout under
    `timeout NAME`. An option switched off with `no` is not there.
    """

    single: Mapping[str, Setting] = field(default_factory=dict)
    lists: Mapping[str, tuple[Setting, ...]] = field(default_factory=dict)

    def get(self, key: str) -> Setting | None:
        """The statement in force for `key`, or None."""
        return self.single.get(key)

    def all(self, key: str) -> tuple[Setting, ...]:
        """All statements of a keyword that may be said several times."""
        return self.lists.get(key, ())


@dataclass(frozen=True, slots=True)
class Proxy:
    """A `listen`, `frontend` or `backend` section with the values in force.

    `own` are the lines of the section itself; `values` include what it inherits.
    """

    section: Section
    values: Values
    binds: tuple[Bind, ...] = ()
    servers: tuple[Server, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.section.name

    @property
    def kind(self) -> str:
        """`listen`, `frontend` or `backend`."""
        return self.section.kind

    @property
    def line(self) -> Line:
        """The line that starts it."""
        return self.section.header

    def word(self, key: str) -> str:
        """The first word of a statement: what is said, else HAProxy's own default, else nothing."""
        setting = self.values.get(key)
        return setting.words[0] if setting and setting.words else _FALLBACK.get(key, "")

    def option(self, *names: str) -> Setting | None:
        """The first of the options `names` that is on."""
        return next((found for name in names if (found := self.values.get(f"option {name}"))), None)

    def timeout_s(self, name: str) -> float | None:
        """A timeout in seconds, None where none is set."""
        setting = self.values.get(f"timeout {name}")
        return seconds(setting.words[0]) if setting and setting.words else None

    @property
    def maxconn(self) -> int | None:
        """Its own or inherited `maxconn`."""
        return number(self.word("maxconn") or None)


@dataclass(frozen=True, slots=True)
class Service:
    """One way from a bind to servers: a `listen`, or a frontend and a backend it uses."""

    front: Proxy
    back: Proxy

    @property
    def name(self) -> str:
        """The section with the servers."""
        return self.back.name


@dataclass(frozen=True, slots=True)
class Configuration:
    """A whole HAProxy configuration, resolved."""

    tree: Tree
    globals: Values
    proxies: tuple[Proxy, ...]

    @property
    def services(self) -> tuple[Service, ...]:
        """Every pair of binds and servers, `listen` sections first said, first listed."""
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
    def global_line(self) -> Line | None:
        """The line that starts the first `global` section."""
        return next((s.header for s in self.tree.sections if s.kind == "global"), None)


def resolve(tree: Tree) -> Configuration:
    """Work out what is in force; never raises."""
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
    binds = [reading.bind(setting.line) for setting in values.all("bind")]
    servers: list[Server] = []
    defaults = [s.line for s in inherited.lists.get("default-server", ())]
    for line in section.statements:
        if line.keyword == "default-server":
            defaults.append(line)
        elif line.keyword in ("server", "server-template"):
            servers.extend(reading.servers(line, defaults))
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
                # The last check that is named is the check that is made.
                single.pop("option tcp-check" if key == "option httpchk" else "option httpchk", None)
    return Values(single, lists)
