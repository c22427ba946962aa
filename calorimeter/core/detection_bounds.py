"""What a proxy's configuration implies: how soon a failed server is DOWN, and a healed one UP.

From how HAProxy schedules checks (configuration manual: `inter`, `fastinter`, `downinter`, `fall`, `rise`,
`timeout check`). The next check begins `inter` after the last one's end, `fastinter` while the server is
going down or up, `downinter` while it is down. A check that is refused fails at once; one that is accepted
and not answered fails after `timeout check` (without it after `inter`); one whose connection is
not answered after the lesser of `timeout connect` and `inter`. The bounds hold for a fault at the worst
moment, just after a good check, and were measured on HAProxy 2.6.12.
"""

from __future__ import annotations

from typing import Literal

from calorimeter.core.deployment import Checks

Failing = Literal["refused", "unanswered", "unconnected"]
"""How a check of a broken server fails: at once, without an answer, or without a connection."""

FAILS: dict[str, Failing] = {
    "kill": "refused",
    "stop": "refused",
    "errors": "refused",
    "refuse-checks": "refused",
    "freeze": "unanswered",
    "slow": "unanswered",
    "cut-off": "unanswered",
    "unreachable": "unconnected",
}
"""Fault → how checks of its server fail."""


def answer_s(checks: Checks) -> float:
    """How long a check waits for an answer."""
    return checks.timeout_check_s or checks.inter_s


def _one_failure_s(checks: Checks, fault: str) -> float:
    how = FAILS[fault]
    if how == "refused":
        return 0.0
    if how == "unanswered":
        return answer_s(checks)
    # Without `timeout check` the connection has the whole of `inter`.
    connect = checks.timeout_connect_s if checks.timeout_check_s else None
    return min(connect or checks.inter_s, checks.inter_s)


def detection_s(checks: Checks, fault: str) -> float:
    """The longest from a fault to DOWN, without the duration of checks: inter + fall · (one failed
    check) + (fall − 1) · fastinter."""
    fast = checks.fastinter_s or checks.inter_s
    return checks.inter_s + checks.fall * _one_failure_s(checks, fault) + (checks.fall - 1) * fast


def recovery_s(checks: Checks, fault: str) -> float:
    """The longest from serving again to UP, without the duration of checks: downinter + (rise − 1) ·
    fastinter, and before it one check that was begun too early and still fails (see `detection_s`).

    A frozen server answers the waiting check when it goes on, so that none is lost there.
    """
    down, fast = checks.downinter_s or checks.inter_s, checks.fastinter_s or checks.inter_s
    lost = _one_failure_s(checks, fault) if fault in ("unreachable", "slow", "cut-off") else 0.0
    return lost + down + (checks.rise - 1) * fast
