"""The bounds that a configuration implies, against the times that were measured on HAProxy 2.6.12."""

import pytest

from calorimeter.core.deployment import Checks
from calorimeter.core.detection_bounds import detection_s, recovery_s

MEASURED = Checks(
    inter_s=3, fastinter_s=1, downinter_s=5, fall=3, rise=2, timeout_check_s=2, timeout_connect_s=10
)


@pytest.mark.parametrize(
    ("fault", "bound", "slowest"),
    [("kill", 5, 3.9), ("freeze", 11, 11.0), ("unreachable", 14, 12.9)],
)
def test_detection_with_all_intervals_given(fault: str, bound: float, slowest: float) -> None:
    """inter 3s fastinter 1s fall 3, timeout check 2s: each bound, and the slowest detection measured."""
    assert detection_s(MEASURED, fault) == bound >= slowest


def test_recovery_with_all_intervals_given() -> None:
    """downinter 5s rise 2 fastinter 1s: 6 s; 4.0 to 6.0 s were measured."""
    assert recovery_s(MEASURED, "kill") == 6
    assert recovery_s(MEASURED, "unreachable") == 6 + 3


def test_haproxy_defaults() -> None:
    """`check` alone: inter 2s, fall 3, and inter limits the answer too."""
    assert detection_s(Checks(), "kill") == 2 + 2 * 2
    assert detection_s(Checks(), "freeze") == 2 + 3 * 2 + 2 * 2
    assert recovery_s(Checks(), "kill") == 2 + 2


def test_a_short_connect_timeout_counts_only_beside_timeout_check() -> None:
    """`timeout connect` limits a check's connection only if `timeout check` is set."""
    short = Checks(timeout_connect_s=0.5)
    assert detection_s(short, "unreachable") == 2 + 3 * 2 + 2 * 2
    both = Checks(timeout_connect_s=0.5, timeout_check_s=1)
    assert detection_s(both, "unreachable") == 2 + 3 * 0.5 + 2 * 2


def test_a_long_timeout_check_delays_a_freeze_and_not_an_unreachable_server() -> None:
    """HAProxy's default times with `timeout check 10s`: 36 s for a freeze, 12 s without a connection."""
    patient = Checks(timeout_check_s=10, timeout_connect_s=10)
    assert detection_s(patient, "freeze") == 2 + 3 * 10 + 2 * 2
    assert detection_s(patient, "unreachable") == 2 + 3 * 2 + 2 * 2
