"""HAProxy configuration: a lossless syntax tree, and the values in force."""

from __future__ import annotations

from calorimeter.config.haproxy.health_requests import AcceptedStatuses, HealthRequest
from calorimeter.config.haproxy.proxies import (
    HAProxyConfig,
    ProxiedService,
    ProxySection,
    Statement,
    resolve,
)
from calorimeter.config.haproxy.servers import Bind, HAProxyServer
from calorimeter.config.haproxy.stickiness import Stickiness
from calorimeter.config.haproxy.text import HAProxyFiles, HAProxyLine, HAProxySection, parse

__all__ = [
    "AcceptedStatuses",
    "Bind",
    "HAProxyConfig",
    "HAProxyFiles",
    "HAProxyLine",
    "HAProxySection",
    "HAProxyServer",
    "HealthRequest",
    "ProxiedService",
    "ProxySection",
    "Statement",
    "Stickiness",
    "parse",
    "resolve",
]
