"""What TLS adds to the configuration of a lab's daemons; nothing where a lab has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from calorimeter.config.haproxy.haproxy_writer import ListenSection, ProxyConfig
from calorimeter.config.heat.heat_conf_writer import Sections
from calorimeter.lab import tls_files
from calorimeter.lab.lab_state import Lab

LEAST = "ssl-default-bind-options ssl-min-ver TLSv1.2"

PROTOCOL = "http-request set-header X-Forwarded-Proto https if { ssl_fc }"
"""What tells an API behind a TLS front that its client uses https, so that its links do, too."""


def proxy(lab: Lab, config: ProxyConfig) -> ProxyConfig:
    """HAProxy: TLS at the fronts, and to the backends, each of which must be this lab's."""
    if "proxy" not in lab.topology.tls:
        return config
    listens = tuple(_listen(lab, each) if each.servers else each for each in config.listens)
    return replace(config, listens=listens, global_lines=(*config.global_lines, LEAST))


def _listen(lab: Lab, listen: ListenSection) -> ListenSection:
    words = (*listen.bind_words, f"ssl crt {tls_files.certificate(lab.tls_folder)}")
    listen = replace(listen, bind_words=words)
    if lab.topology.mode == "http":
        listen = replace(listen, lines=(PROTOCOL, *listen.lines))
    if "backends" not in lab.topology.tls:
        return listen
    verified = f"ssl verify required ca-file {tls_files.ca_file(lab.tls_folder)}"
    verified += f" verifyhost {tls_files.server_name(lab.topology.name)}"
    servers = tuple(replace(each, words=(*each.words, verified)) for each in listen.servers)
    return replace(listen, servers=servers)


def heat(lab: Lab) -> Sections:
    """heat.conf: who vouches for the APIs and the broker, and the proxy's word on what its clients use."""
    more: dict[str, dict[str, str | int | bool]] = {}
    ca_file = str(tls_files.ca_file(lab.tls_folder))
    if "proxy" in lab.topology.tls:
        more["oslo_middleware"] = {"enable_proxy_headers_parsing": True}
        more["clients"] = {"ca_file": ca_file}  # of Heat's calls to itself, at the proxy
    if "broker" in lab.topology.tls:
        more["oslo_messaging_rabbit"] = {"ssl": True, "ssl_ca_file": ca_file}
    return more


def gunicorn(lab: Lab) -> tuple[str, ...]:
    """Options of gunicorn: TLS for the proxy."""
    if "backends" not in lab.topology.tls:
        return ()
    certificate, key = tls_files.certificate(lab.tls_folder), tls_files.key(lab.tls_folder)
    return ("--certfile", str(certificate), "--keyfile", str(key))


def broker(lab: Lab, amqp: str, management: str) -> str:
    """rabbitmq.conf: the listeners at two ports of the lab, with TLS in place of plain TCP or without."""
    if "broker" not in lab.topology.tls:
        return (
            f"listeners.tcp.local = {lab.address(amqp)}\n"
            f"management.tcp.ip = {lab.host(management)}\n"
            f"management.tcp.port = {lab.port(management)}\n"
        )
    lines = [
        "listeners.tcp = none",
        f"listeners.ssl.local = {lab.address(amqp)}",
        f"management.ssl.ip = {lab.host(management)}",
        f"management.ssl.port = {lab.port(management)}",
        "ssl_options.verify = verify_none",  # of clients, who log in with a password
        "ssl_options.fail_if_no_peer_cert = false",
    ]
    for prefix in ("ssl_options", "management.ssl"):
        for name, path in _files(lab.tls_folder).items():
            lines.append(f"{prefix}.{name} = {path}")
        lines += [f"{prefix}.versions.1 = tlsv1.3", f"{prefix}.versions.2 = tlsv1.2"]
    return "\n".join([*lines, ""])


def _files(folder: Path) -> dict[str, Path]:
    return {
        "cacertfile": tls_files.ca_file(folder),
        "certfile": tls_files.certificate(folder),
        "keyfile": tls_files.key(folder),
    }
