"""The layouts of labs with hosts, by the name that `LabTopology.layout` gives."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from calorimeter.lab.hosts.host_layout import HostLayout
from calorimeter.lab.hosts.pair_layout import PAIR
from calorimeter.lab.sample.layout import SAMPLE

LAYOUTS: Mapping[str, HostLayout] = MappingProxyType({"sample": SAMPLE, "pair": PAIR})
