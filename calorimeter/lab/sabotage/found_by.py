"""Which gates each sabotage of a lab turns red; tests compare the tables with what is seen on the lab."""

from __future__ import annotations

from collections.abc import Mapping

from calorimeter.lab.sabotage.pair_sabotage import PAIR_SABOTAGES

FOUND_BY: Mapping[str, tuple[str, ...]] = {
    "roundrobin": ("A5", "S1", "S2", "S3", "S5", "S6", "S7"),
    "leastconn": ("A5", "S1", "S2", "S3", "S5", "S6", "S7"),
    "cfn-roundrobin": ("A5", "S2", "S3", "S5", "S6", "S7"),
    "weight": ("S3", "S4"),
    "stick-table": ("S6", "S7"),
    "missing-server": ("A2", "S3", "S4"),
    "keepalive-off": ("A7", "P6"),
    "small-maxconn": ("P4",),
    "wrong-address": ("A2", "P2"),
    "short-timeout": ("A8", "P5"),
    "translation": ("A2", "A5", "A9", "S8"),
    "unchecked": ("A6", "H1", "H2", "H5"),
    "backup": ("A5", "H1"),
    "fall-100": ("A6", "H2"),
    "slow-checks": ("A6", "H3"),
    "any-path": ("A6", "H2"),
    "sessions-stay": ("A6", "H3"),
    "engine-vhost": ("A4", "E1"),
    "engine-workers": ("E1",),
    "engine-dies": ("A10", "E1"),
    "engine-prefetch": ("A4", "E1"),
    "engine-key": ("A4", "L1"),
    "engine-extra": ("E1",),
}
"""Sabotage → the gates that it turns red. Gates A read the sabotaged files."""

_LOADS = "tests/gates/service_level/test_service_level_on_lab.py"

RED_IN_TESTS: Mapping[str, str] = {
    "B1": "tests/gates/broker/test_classic_queues_on_lab.py::test_a_classic_queue_dies_with_its_home",
    "E2": "tests/gates/engines/test_sabotage_engines.py::test_stranger_on_the_queue_is_red",
    "E4": "tests/gates/engines/test_sabotage_engines.py::test_stranger_on_the_queue_is_red",
    "H9": "tests/gates/health/test_sabotage_health.py::test_a_healthy_lab_passes_and_h9_is_waived",
    "S9": "tests/gates/affinity/test_policies_on_lab.py::test_a_stick_table_is_lost_with_its_process",
    "T1": f"{_LOADS}::test_missed_objectives_and_a_halting_generator_are_red",
    "T3": f"{_LOADS}::test_missed_objectives_and_a_halting_generator_are_red",
}
"""Gate → a test that turns it red on a lab by other means than `lab sabotage`."""


def sabotages(gate_id: str) -> list[str]:
    """The sabotages that turn a gate red."""
    found = [sabotage for sabotage, gates in FOUND_BY.items() if gate_id in gates]
    return found + [name for name, each in PAIR_SABOTAGES.items() if each.gate == gate_id]
