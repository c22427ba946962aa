"""All rules. Their order is that of `rules` in a SARIF report; findings are sorted by gate."""

from __future__ import annotations

from calorimeter.config.audit.model import Rule
from calorimeter.config.audit.rules import (
    addresses,
    balance,
    cfn_credentials,
    check_answers,
    engine_processes,
    health_checks,
    https_links,
    keepalive_and_redispatch,
    limits,
    logs,
    loopback,
    one_heat,
    proxy_addresses,
    proxy_lines,
    queues,
    transient_queues,
    transport,
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
    health_checks,
    check_answers,
    keepalive_and_redispatch,
    limits,
    logs,
    unread_options,
    transport,
    engine_processes,
    cfn_credentials,
)

RULES = tuple(each for module in _MODULES for each in vars(module).values() if isinstance(each, Rule))
