"""HAProxy: the guide's configuration or the checked one, and its runtime socket."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Event

from calorimeter.config.haproxy import haproxy_writer
from calorimeter.config.keepalived_writer import ALIVE_SECTION
from calorimeter.core import files
from calorimeter.core.expect import StickOn
from calorimeter.lab import lab_profile, processes, profile_proxy, tls_options
from calorimeter.lab.daemons import health_check, readiness
from calorimeter.lab.daemons.daemon import Daemon, DaemonError, run
from calorimeter.lab.lab_state import Lab, write_private
from calorimeter.lab.sample.layout import SAMPLE

SECTIONS = {"rest": "rest_api_proxy", "cfn": "cfn_api_proxy"}
"""API → its `listen` section, with the guide's name."""

HEALTH = "httpchk GET /healthcheck"
MARKED_DOWN = ("on-marked-down shutdown-sessions",)


ONLY = "proxy"
"""The part of a lab with one proxy."""

STATS_PORT = 9999
"""Where the client hosts of a lab with hosts can read the state of a proxy."""

PEERS_PORT = 1024


def _home(lab: Lab, part: str) -> Path:
    return lab.folder / ("haproxy" if part == ONLY else part)


def conf(lab: Lab, part: str = ONLY) -> Path:
    """The configuration file of a proxy."""
    return _home(lab, part) / "apis-proxy.conf"


def stats(lab: Lab, part: str = ONLY) -> Path:
    """The stats socket of a proxy."""
    return _home(lab, part) / "stats"


def stats_address(lab: Lab, part: str) -> str:
    """The stats address of a proxy that the client hosts can reach."""
    return f"{lab.host(part)}:{STATS_PORT}"


def _guides(lab: Lab, part: str) -> haproxy_writer.ProxyConfig:
    """The guide's configuration with the requested changes, plus a stats socket and a log."""
    asked = lab.topology
    option = "httplog" if asked.mode == "http" else "tcplog"
    proxy = haproxy_writer.ProxyConfig(
        listens=(_listen(lab, "rest", asked.rest_parts), _listen(lab, "cfn", asked.cfn_parts)),
        mode=None if asked.mode == "tcp" else asked.mode,
        log=f"{lab.address('log')} local0",
        stats_socket=f"{stats(lab, part)} mode 600 level admin expose-fd listeners",
        global_lines=(f"stats socket ipv4@{stats_address(lab, part)} level admin",) if lab.layout else (),
        default_options=(option, haproxy_writer.REDISPATCH),
    )
    timeouts = {**proxy.timeouts, **asked.timeouts}
    return replace(proxy, timeouts=timeouts, maxconn=asked.maxconn or proxy.maxconn)


def config(lab: Lab, part: str = ONLY) -> haproxy_writer.ProxyConfig:
    """The configuration of a proxy."""
    return tls_options.proxy(lab, _without_tls(lab, part))


def _without_tls(lab: Lab, part: str) -> haproxy_writer.ProxyConfig:
    """The guide's configuration, the one with health checks, or that of the profile."""
    asked, proxy = lab.topology, _guides(lab, part)
    if asked.proxy == "profile" and (settings := lab_profile.proxy_of(asked.profile)):
        proxy = profile_proxy.configured(settings, proxy, asked.timeouts)
    if asked.sample and asked.proxy == "checked":
        return _generated(lab, proxy)
    if asked.proxy == "checked":
        timeout_check = asked.timeouts.get("check") or (
            health_check.TIMEOUT_CHECK if asked.health == "rpc" else "1s"
        )
        proxy = _corrected(haproxy_writer.checked(proxy, timeout_check=timeout_check))
    proxy = _sticky(proxy, asked.stick_on)
    return proxy if asked.proxies == 1 else _one_of_several(lab, part, proxy)


TABLE = "stick-table type ip size 100k expire 1h"
ON_SOURCE = "stick on src"
COOKIE = "cookie SRV insert indirect nocache"


def stick_on(proxy: haproxy_writer.ProxyConfig) -> StickOn | None:
    """What keeps clients on their servers in a proxy's sections of the APIs."""
    lines = proxy.listens[0].lines
    return "src" if ON_SOURCE in lines else "cookie" if COOKIE in lines else None


def _sticky(proxy: haproxy_writer.ProxyConfig, how: StickOn | None) -> haproxy_writer.ProxyConfig:
    """The configuration with clients that stay on their servers."""
    if how == "src":
        return _with_lines(proxy, TABLE, ON_SOURCE)
    if how is None:
        return proxy
    named = tuple(
        replace(each, servers=tuple(replace(s, words=(*s.words, f"cookie {s.name}")) for s in each.servers))
        for each in proxy.listens
    )
    return _with_lines(replace(proxy, listens=named), COOKIE)


def _with_lines(proxy: haproxy_writer.ProxyConfig, *lines: str) -> haproxy_writer.ProxyConfig:
    """The configuration with these lines in each section that has servers."""
    listens = tuple(
        replace(each, lines=(*each.lines, *lines)) if each.servers else each for each in proxy.listens
    )
    return replace(proxy, listens=listens)


def _one_of_several(lab: Lab, part: str, proxy: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """What a proxy needs that shares its address with others: it binds the address without having it, and
    tells its keepalived that it works."""
    listens = tuple(
        replace(listen, bind=tuple(f"{bind} transparent" for bind in listen.bind))
        for listen in proxy.listens
    )
    proxy = haproxy_writer.with_listen(replace(proxy, listens=listens), ALIVE_SECTION)
    return _with_peers(lab, part, proxy) if lab.topology.peers else proxy


def _with_peers(lab: Lab, part: str, proxy: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """A client stays on its server by a stick table, which the proxies share."""
    return replace(
        _with_lines(proxy, f"{TABLE} peers {haproxy_writer.PEERS}", ON_SOURCE),
        peers={each: f"{lab.host(each)}:{PEERS_PORT}" for each in lab.topology.proxy_parts},
        global_lines=(*proxy.global_lines, f"localpeer {part}"),
    )


def _generated(lab: Lab, guides: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """The output of `calorimeter generate` for the sample, with the guide's server names and the requested
    changes."""
    from calorimeter.config import generate  # with the rules of the audit: slow, and for a sample alone

    asked = lab.topology
    hosts = tuple(generate.Host(name=name, address=SAMPLE.hosts[name]) for name in SAMPLE.api_hosts)
    generated = generate.proxy_config(
        generate.Topology(
            proxy=SAMPLE.hosts[SAMPLE.services], hosts=hosts, rpc_response_timeout_s=asked.rpc_timeout_s
        )
    )
    listens = []
    for listen, own in zip(generated.listens, guides.listens, strict=True):
        names = {server.address: server for server in own.servers}
        servers = [
            replace(
                server,
                name=names[server.address].name,
                weight=names[server.address].weight,
                words=(*server.words, *names[server.address].words),
            )
            for server in listen.servers
        ]
        hash_type = own.hash_type or (listen.hash_type if own.balance in ("source", "uri") else None)
        listens.append(replace(listen, servers=tuple(servers), balance=own.balance, hash_type=hash_type))
    return replace(
        generated,
        listens=tuple(listens),
        mode=asked.mode,
        default_options=_at_once(guides),
        timeouts={**generated.timeouts, **asked.timeouts},
        maxconn=asked.maxconn or generated.maxconn,
        default_maxconn=_within(generated.default_maxconn, asked.maxconn or generated.maxconn),
        log=guides.log,
        stats_socket=guides.stats_socket,
        global_lines=guides.global_lines,
    )


def _corrected(proxy: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """Health checks of /healthcheck, sessions that end with their server, and retries on another one."""
    listens = []
    for listen in proxy.listens:
        servers = tuple(replace(s, words=(*s.words, *MARKED_DOWN)) for s in listen.servers)
        options = tuple(HEALTH if option == "httpchk" else option for option in listen.options)
        listens.append(replace(listen, servers=servers, options=options))
    limit = _within(proxy.default_maxconn, proxy.maxconn)
    return replace(proxy, listens=tuple(listens), default_maxconn=limit, default_options=_at_once(proxy))


def _at_once(proxy: haproxy_writer.ProxyConfig) -> tuple[str, ...]:
    """The options with every retry redispatched: HAProxy 3.0.11 never ends the session of a client that
    waits for a retry on the same server when that server goes DOWN (`A7-redispatch-late`)."""
    instead = {haproxy_writer.REDISPATCH: haproxy_writer.AT_ONCE}
    return tuple(instead.get(option, option) for option in proxy.default_options)


def _within(section: int | None, whole: int) -> int:
    """A section's limit: above that of the process it would never be reached."""
    return min(section or whole, whole)


def _listen(lab: Lab, api: str, parts: tuple[str, ...]) -> haproxy_writer.ListenSection:
    weights = dict(zip(parts, lab.topology.weights, strict=False))
    limit = lab.topology.server_maxconn
    words = (f"maxconn {limit}",) if limit else ()
    return haproxy_writer.ListenSection(
        name=SECTIONS[api],
        bind=(lab.address(api),),
        servers=tuple(
            haproxy_writer.ServerLine(part, lab.address(part), weights.get(part), words=words)
            for part in parts
        ),
        balance=lab.topology.balance,
        hash_type=lab.topology.hash_type,
    )


def prepare(lab: Lab, part: str = ONLY, other: haproxy_writer.ProxyConfig | None = None) -> None:
    """Write the proxy's configuration, or `other`. Raises `DaemonError` if HAProxy does not accept it."""
    path = conf(lab, part)
    files.make_folder(path.parent)
    partial = path.with_suffix(".partial")
    write_private(partial, haproxy_writer.render(other or config(lab, part)))
    checked = subprocess.run(
        [str(lab.programs.haproxy), "-c", "-f", str(partial)], capture_output=True, text=True, check=False
    )
    if checked.returncode != 0:
        raise DaemonError(part, "configuration is not valid", checked.stdout + checked.stderr)
    partial.replace(path)


def daemon(lab: Lab, part: str = ONLY) -> Daemon:
    """HAProxy; with the guide's `daemon` line the command exits once the proxy listens."""
    return Daemon(
        part=part,
        argv=(str(lab.programs.haproxy), "-f", str(conf(lab, part))),
        ready=lambda: _serves(lab, part),
        deadline_s=15,
        forks=True,
    )


def _serves(lab: Lab, part: str) -> bool:
    """Whether a proxy accepts connections; one of several may lack the front address."""
    if lab.topology.proxies > 1:
        return readiness.accepts(lab.host(part), STATS_PORT)
    return all(readiness.accepts(lab.host(api), lab.port(api)) for api in SECTIONS)


def reload(lab: Lab, part: str = ONLY, cancel: Event | None = None, *, alone: bool = False) -> None:
    """Start a new process that takes over the listening sockets; the old one finishes its sessions.

    With `alone` it binds sockets of its own beside those of the old one (SO_REUSEPORT), as it does where
    the stats socket has no `expose-fd listeners`.
    """
    old = [str(process.pid) for process in processes.running(lab.folder, part)]
    sockets = [] if alone else ["-x", str(stats(lab, part))]
    argv = [str(lab.programs.haproxy), "-f", str(conf(lab, part)), *sockets, "-sf", *old]
    run(lab, part, argv, 30, cancel=cancel)


def command(lab: Lab, line: str, part: str = ONLY, timeout_s: float = 5.0) -> str:
    """Send one command to the stats socket of a proxy and return the answer. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(stats(lab, part)))
        connection.sendall(f"{line}\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode("utf-8", "replace")


def version(lab: Lab) -> str:
    """HAProxy's version, such as `2.6.12-1+deb12u4`."""
    done = subprocess.run([str(lab.programs.haproxy), "-v"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]
