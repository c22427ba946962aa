"""`calorimeter generate`: the files of a scaled-out Heat from a topology of a few lines."""

from __future__ import annotations

from calorimeter.config.generate.proxy_files import proxy_config
from calorimeter.config.generate.topology import FrontTls, Host, ProxyHost, Topology

__all__ = ["FrontTls", "Host", "ProxyHost", "Topology", "proxy_config"]
