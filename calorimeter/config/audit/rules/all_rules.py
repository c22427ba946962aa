"""All rules. Their order is that of `rules` in a SARIF report; findings are sorted by gate."""

from __future__ import annotations

from calorimeter.config.audit.model import Rule
from calorimeter.config.audit.rules import (
    addresses,
    cfn_credentials,
    engine_processes,
    health_checks,
    keepalive_and_redispatch,
    limits,
    logs,
    loopback,
    old_options,
    one_heat,
    proxy_lines,
    source_balance,
    unknown_options,
    unread_options,
)

_MODULES = (
    addresses,
    proxy_lines,
    loopback,
    one_heat,
    source_balance,
    health_checks,
    keepalive_and_redispatch,
    limits,
    logs,
    old_options,
    unknown_options,
    unread_options,
    engine_processes,
    cfn_credentials,
)

RULES = tuple(each for module in _MODULES for each in vars(module).values() if isinstance(each, Rule))
