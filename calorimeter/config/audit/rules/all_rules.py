"""All rules. Their order is that of `rules` in a SARIF report; findings are sorted by gate."""

from __future__ import annotations

from calorimeter.config.audit.model import Rule
from calorimeter.config.audit.rules import (
    addresses,
    balance,
    cfn_credentials,
    check_answers,
    check_rules,
    engine_processes,
    health_checks,
    hidden_sources,
    https_links,
    keepalive_and_redispatch,
    limits,
    logs,
    loopback,
    old_options,
    one_heat,
    proxy_addresses,
    proxy_lines,
    queues,
    transient_queues,
    transport,
    unknown_options,
    unread_options,
)

_MODULES = (
    addresses,
    proxy_addresses,
    proxy_lines,
    https_links,
    loopback,
    one_heat,
    queues,
    transient_queues,
    balance,
    hidden_sources,
    health_checks,
    check_answers,
    check_rules,
    keepalive_and_redispatch,
    limits,
    logs,
    old_options,
    unknown_options,
    unread_options,
    transport,
    engine_processes,
    cfn_credentials,
)

RULES = tuple(each for module in _MODULES for each in vars(module).values() if isinstance(each, Rule))
