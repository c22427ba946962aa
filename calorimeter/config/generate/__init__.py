"""`calorimeter generate`: the files of a scaled-out Heat from a topology of a few lines."""

from __future__ import annotations

from calorimeter.config.generate.generated_files import (
    GeneratedFile,
    heat_files,
    instructions,
    new_secrets,
    proxy_config,
    proxy_file,
)
from calorimeter.config.generate.topology import SECRETS, Host, Topology

__all__ = [
    "SECRETS",
    "GeneratedFile",
    "Host",
    "Topology",
    "heat_files",
    "instructions",
    "new_secrets",
    "proxy_config",
    "proxy_file",
]
