"""All rules. Their order is that of `rules` in a SARIF report; findings are sorted by gate."""

from __future__ import annotations

from calorimeter.config.audit.model import Rule
from calorimeter.config.audit.rules import (
    addresses,
    cfn_credentials,
    engine_processes,
    health_checks,
    limits,
    logs,
    loopback,
    one_heat,
    options,
    proxy_lines,
    retries,
    source_balance,
)

RULES: tuple[Rule, ...] = (
    *addresses.RULES,
    *proxy_lines.RULES,
    *loopback.RULES,
    *one_heat.RULES,
    *source_balance.RULES,
    *health_checks.RULES,
    *retries.RULES,
    *limits.RULES,
    *logs.RULES,
    *options.RULES,
    *engine_processes.RULES,
    *cfn_credentials.RULES,
)
