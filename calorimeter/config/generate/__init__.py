"""`calorimeter generate`: the files of a scaled-out Heat from a topology of a few lines."""

from __future__ import annotations

from calorimeter.config.generate.generated_files import proxy_config
from calorimeter.config.generate.topology import Host, Topology

__all__ = ["Host", "Topology", "proxy_config"]
