"""HAProxy configuration: a lossless syntax tree, and the values in force."""

from __future__ import annotations

from calorimeter.config.haproxy.proxies import Configuration, Proxy, Service, Setting, resolve
from calorimeter.config.haproxy.servers import Bind, Server
from calorimeter.config.haproxy.text import Line, Section, Tree, parse

__all__ = [
    "Bind",
    "Configuration",
    "Line",
    "Proxy",
    "Section",
    "Server",
    "Service",
    "Setting",
    "Tree",
    "parse",
    "resolve",
]
