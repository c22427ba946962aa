"""HAProxy: the guide's configuration or the checked one, and its runtime socket."""

from __future__ import annotations

import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from threading import Event

from calorimeter.config import generate
from calorimeter.config.haproxy import haproxy_writer
from calorimeter.core import files
from calorimeter.lab import processes, tls_options
from calorimeter.lab.daemons import health_check, readiness
from calorimeter.lab.daemons.daemon import Daemon, DaemonError, run
from calorimeter.lab.lab_state import Lab, write_private
from calorimeter.lab.sample import layout

SECTIONS = {"rest": "rest_api_proxy", "cfn": "cfn_api_proxy"}
"""API → its `listen` section, with the guide's name."""

HEALTH = "httpchk GET /healthcheck"
MARKED_DOWN = ("on-marked-down shutdown-sessions",)


def conf(lab: Lab) -> Path:
    """The configuration file."""
    return lab.folder / "haproxy" / "apis-proxy.conf"


def stats(lab: Lab) -> Path:
    """The stats socket."""
    return lab.folder / "haproxy" / "stats"


def stats_address(lab: Lab) -> str:
    """The stats address that the client hosts of a sample can reach."""
    return f"{lab.host('proxy')}:{layout.STATS_PORT}"


def _guides(lab: Lab) -> haproxy_writer.ProxyConfig:
    """The guide's configuration with the requested changes, plus a stats socket and a log."""
    asked = lab.topology
    option = "httplog" if asked.mode == "http" else "tcplog"
    proxy = haproxy_writer.ProxyConfig(
        listens=(_listen(lab, "rest", asked.rest_parts), _listen(lab, "cfn", asked.cfn_parts)),
        mode=None if asked.mode == "tcp" else asked.mode,
        log=f"{lab.address('log')} local0",
        stats_socket=f"{stats(lab)} mode 600 level admin expose-fd listeners",
        global_lines=(f"stats socket ipv4@{stats_address(lab)} level admin",) if asked.sample else (),
        default_options=(option, "redispatch"),
    )
    timeouts = {**proxy.timeouts, **asked.timeouts}
    return replace(proxy, timeouts=timeouts, maxconn=asked.maxconn or proxy.maxconn)


def config(lab: Lab) -> haproxy_writer.ProxyConfig:
    """The lab's configuration."""
    return tls_options.proxy(lab, _without_tls(lab))


def _without_tls(lab: Lab) -> haproxy_writer.ProxyConfig:
    """The guide's configuration, or the one with health checks."""
    asked, proxy = lab.topology, _guides(lab)
    if asked.proxy == "guide":
        return proxy
    if asked.sample:
        return _generated(lab, proxy)
    timeout_check = asked.timeouts.get("check") or (
        health_check.TIMEOUT_CHECK if asked.health == "rpc" else "1s"
    )
    return _corrected(haproxy_writer.checked(proxy, timeout_check=timeout_check))


def _generated(lab: Lab, guides: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """The output of `calorimeter generate` for the sample, with the guide's server names and the requested
    changes."""
    asked = lab.topology
    hosts = tuple(generate.Host(name=name, address=layout.HOSTS[name]) for name in layout.API_HOSTS)
    generated = generate.proxy_config(
        generate.Topology(proxy=layout.HOSTS["A"], hosts=hosts, rpc_response_timeout_s=asked.rpc_timeout_s)
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
        hash_type = own.hash_type or (listen.hash_type if own.balance == "source" else None)
        listens.append(replace(listen, servers=tuple(servers), balance=own.balance, hash_type=hash_type))
    return replace(
        generated,
        listens=tuple(listens),
        mode=asked.mode,
        default_options=guides.default_options,
        timeouts={**generated.timeouts, **asked.timeouts},
        maxconn=asked.maxconn or generated.maxconn,
        default_maxconn=min(generated.default_maxconn, asked.maxconn or generated.maxconn),
        log=guides.log,
        stats_socket=guides.stats_socket,
        global_lines=guides.global_lines,
    )


def _corrected(proxy: haproxy_writer.ProxyConfig) -> haproxy_writer.ProxyConfig:
    """Health checks of /healthcheck, and sessions that end when their server goes DOWN."""
    listens = []
    for listen in proxy.listens:
        servers = tuple(replace(s, words=(*s.words, *MARKED_DOWN)) for s in listen.servers)
        options = tuple(HEALTH if option == "httpchk" else option for option in listen.options)
        listens.append(replace(listen, servers=servers, options=options))
    # A section's limit above that of the process would never be reached.
    return replace(proxy, listens=tuple(listens), default_maxconn=min(proxy.default_maxconn, proxy.maxconn))


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


def prepare(lab: Lab, other: haproxy_writer.ProxyConfig | None = None) -> None:
    """Write the lab's configuration, or `other`. Raises `DaemonError` if HAProxy does not accept it."""
    path = conf(lab)
    files.make_folder(path.parent)
    partial = path.with_suffix(".partial")
    write_private(partial, haproxy_writer.render(other or config(lab)))
    checked = subprocess.run(
        [str(lab.programs.haproxy), "-c", "-f", str(partial)], capture_output=True, text=True, check=False
    )
    if checked.returncode != 0:
        raise DaemonError("proxy", "configuration is not valid", checked.stdout + checked.stderr)
    partial.replace(path)


def daemon(lab: Lab) -> Daemon:
    """HAProxy; with the guide's `daemon` line the command exits once the proxy listens."""
    return Daemon(
        part="proxy",
        argv=(str(lab.programs.haproxy), "-f", str(conf(lab))),
        ready=lambda: all(readiness.accepts(lab.host(api), lab.port(api)) for api in SECTIONS),
        deadline_s=15,
        forks=True,
    )


def reload(lab: Lab, cancel: Event | None = None) -> None:
    """Start a new process that takes over the listening sockets; the old one finishes its sessions."""
    old = [str(process.pid) for process in processes.running(lab.folder, "proxy")]
    argv = [str(lab.programs.haproxy), "-f", str(conf(lab)), "-x", str(stats(lab)), "-sf", *old]
    run(lab, "proxy", argv, 30, cancel=cancel)


def command(lab: Lab, line: str, timeout_s: float = 5.0) -> str:
    """Send one command to the stats socket and return the answer. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        connection.connect(str(stats(lab)))
        connection.sendall(f"{line}\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode("utf-8", "replace")


def version(lab: Lab) -> str:
    """HAProxy's version, such as `2.6.12-1+deb12u4`."""
    done = subprocess.run([str(lab.programs.haproxy), "-v"], capture_output=True, text=True, check=True)
    return done.stdout.split()[2]
