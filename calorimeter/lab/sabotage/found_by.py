"""Which gates each sabotage of a lab turns red; a test compares the table with the tests on the lab.

Those tests do not run gates A, which read the sabotaged files, too.
"""

from __future__ import annotations

from collections.abc import Mapping

FOUND_BY: Mapping[str, tuple[str, ...]] = {
    "roundrobin": ("S1", "S2", "S3", "S5", "S6", "S7"),
    "leastconn": ("S1", "S2", "S3", "S5", "S6", "S7"),
    "cfn-roundrobin": ("S2", "S3", "S5", "S6", "S7"),
    "weight": ("S3", "S4"),
    "stick-table": ("S6", "S7"),
    "missing-server": ("S3", "S4"),
    "keepalive-off": ("P6",),
    "small-maxconn": ("P4",),
    "wrong-address": ("P2",),
    "short-timeout": ("P5",),
    "translation": ("S8",),
    "unchecked": ("H1", "H2", "H5"),
    "backup": ("H1",),
    "fall-100": ("H2",),
    "slow-checks": ("H3",),
    "any-path": ("H2",),
    "sessions-stay": ("H3",),
    "engine-vhost": ("E1",),
    "engine-workers": ("E1",),
    "engine-dies": ("E1",),
    "engine-prefetch": ("E1",),
    "engine-key": ("L1",),
}
"""Sabotage → the gates that it turns red."""


def sabotages(gate_id: str) -> list[str]:
    """The sabotages that turn a gate red."""
    return [sabotage for sabotage, gates in FOUND_BY.items() if gate_id in gates]
