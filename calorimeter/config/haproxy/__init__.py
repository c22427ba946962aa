"""HAProxy configuration: a lossless syntax tree, and the values in force."""

from __future__ import annotations

from calorimeter.config.haproxy.http_checks import AcceptedStatuses, HealthRequest
from calorimeter.config.haproxy.proxied_service import ProxiedService
from calorimeter.config.haproxy.proxies import HAProxyConfig, resolve
from calorimeter.config.haproxy.proxy_section import ProxySection
from calorimeter.config.haproxy.servers import Bind, HAProxyServer
from calorimeter.config.haproxy.stats_settings import ConfiguredStats
from calorimeter.config.haproxy.stickiness import Stickiness
from calorimeter.config.haproxy.text import HAProxyFiles, HAProxyLine, HAProxySection, parse
from calorimeter.config.haproxy.values import Statement

__all__ = [
    "AcceptedStatuses",
    "Bind",
    "ConfiguredStats",
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
