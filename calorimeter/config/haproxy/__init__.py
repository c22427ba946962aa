"""HAProxy configuration: a tree that loses nothing, and what it means."""

from __future__ import annotations

from calorimeter.config.haproxy.proxies import Configuration, Proxy, Service, Setting, resolve
from calorimeter.config.haproxy.servers import Bind, Server
from calorimeter.config.haproxy.text import Line, Section, Tree, parse, read, render

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
    "read",
    "render",
    "resolve",
]
