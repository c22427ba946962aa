"""HAProxy's configuration as data, and the writer that turns it into a file.

Defaults are those of the guide's `apis-proxy.conf`, so a variation names only what it changes:
`replace(guide, maxconn=20)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

GUIDE_TIMEOUTS: Mapping[str, str] = {
    "http-request": "10s",
    "queue": "1m",
    "connect": "10s",
    "client": "1m",
    "server": "1m",
    "check": "10s",
}
"""The guide's `timeout` lines, in the guide's order."""

REDISPATCH = "redispatch"
AT_ONCE = "redispatch 1"
"""Options: another server for the last retry, as in the guide; for every retry, as we correct it."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """A server's health check: `check inter 1s fall 2 rise 2`. What is None is left to HAProxy."""

    inter: str | None = "1s"
    fall: int | None = 2
    rise: int | None = 2

    def __str__(self) -> str:
        words = (("inter", self.inter), ("fall", self.fall), ("rise", self.rise))
        return " ".join(("check", *(f"{word} {value}" for word, value in words if value is not None)))


@dataclass(frozen=True, slots=True)
class ServerLine:
    """One `server` line; `words` are appended verbatim."""

    name: str
    address: str
    weight: int | None = None
    check: HealthCheck | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = ["server", self.name, self.address]
        if self.weight is not None:
            words.append(f"weight {self.weight}")
        if self.check is not None:
            words.append(str(self.check))
        return " ".join((*words, *self.words))


@dataclass(frozen=True, slots=True)
class ListenSection:
    """One `listen` section; `bind_words` follow each address verbatim, `lines` come before the servers."""

    name: str
    bind: tuple[str, ...]
    servers: tuple[ServerLine, ...]
    balance: str | None = "source"
    hash_type: str | None = None
    options: tuple[str, ...] = ("tcpka", "httpchk")
    lines: tuple[str, ...] = ()
    bind_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """A configuration file; fields that are not given are as in the guide.

    `log` is an address with a facility (`127.0.0.1:514 local0`), `stats_socket` a path with parameters;
    `global_lines` and `default_lines` are added verbatim. `peers` share their stick tables: name → address.
    """

    listens: tuple[ListenSection, ...]
    maxconn: int = 4000
    default_maxconn: int | None = 8000
    default_options: tuple[str, ...] = (REDISPATCH,)
    retries: int = 3
    timeouts: Mapping[str, str] = field(default_factory=lambda: dict(GUIDE_TIMEOUTS))
    mode: str | None = None
    log: str | None = None
    stats_socket: str | None = None
    global_lines: tuple[str, ...] = ()
    default_lines: tuple[str, ...] = ()
    peers: Mapping[str, str] = field(default_factory=dict)


PEERS = "proxies"
"""The name of the section of `ProxyConfig.peers`."""


def checked(
    config: ProxyConfig, check: HealthCheck | None = None, timeout_check: str = "1s"
) -> ProxyConfig:
    """A copy of the configuration with `check` on every server, and with `timeout check`."""
    check = check or HealthCheck()
    listens = tuple(
        replace(listen, servers=tuple(replace(server, check=check) for server in listen.servers))
        for listen in config.listens
    )
    return replace(config, listens=listens, timeouts={**config.timeouts, "check": timeout_check})


def with_listen(config: ProxyConfig, listen: ListenSection) -> ProxyConfig:
    """A copy of the configuration with one more section at its end."""
    return replace(config, listens=(*config.listens, listen))


def render(config: ProxyConfig) -> str:
    """The text of the file."""
    sections = [("global", _global(config)), ("defaults", _defaults(config))]
    if config.peers:
        sections.append((f"peers {PEERS}", (f"peer {name} {at}" for name, at in config.peers.items())))
    sections += [(f"listen {listen.name}", _listen(listen)) for listen in config.listens]
    return "\n".join(
        f"{heading}\n" + "".join(f"    {line}\n" for line in lines) for heading, lines in sections
    )


def _global(config: ProxyConfig) -> Iterator[str]:
    yield "daemon"
    yield f"maxconn {config.maxconn}"
    if config.stats_socket:
        yield f"stats socket {config.stats_socket}"
    if config.log:
        yield f"log {config.log}"
    yield from config.global_lines


def _defaults(config: ProxyConfig) -> Iterator[str]:
    if config.mode:
        yield f"mode  {config.mode}"
    yield "log  global"
    if config.default_maxconn is not None:
        yield f"maxconn  {config.default_maxconn}"
    for option in config.default_options:
        yield f"option  {option}"
    yield f"retries  {config.retries}"
    for name, value in config.timeouts.items():
        yield f"timeout  {name} {value}"
    yield from config.default_lines


def _listen(listen: ListenSection) -> Iterator[str]:
    for address in listen.bind:
        yield " ".join(("bind", address, *listen.bind_words))
    if listen.balance:
        yield f"balance  {listen.balance}"
    if listen.hash_type:
        yield f"hash-type  {listen.hash_type}"
    for option in listen.options:
        yield f"option  {option}"
    yield from listen.lines
    for server in listen.servers:
        yield str(server)
