"""The rules, in the order in which they are reported."""

from __future__ import annotations

from config.audit import (
    addresses,
    affinity,
    capacity,
    cfn,
    engines,
    health,
    limits,
    logs,
    loopback,
    options,
    retries,
)
from config.audit.model import Rule

RULES: tuple[Rule, ...] = (
    *addresses.RULES,
    *loopback.RULES,
    *engines.RULES,
    *affinity.RULES,
    *health.RULES,
    *retries.RULES,
    *limits.RULES,
    *logs.RULES,
    *options.RULES,
    *capacity.RULES,
    *cfn.RULES,
)
