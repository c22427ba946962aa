"""How soon HAProxy's checks take a failed server DOWN, and bring a healed one UP again.

The bounds follow from how HAProxy schedules checks (configuration manual: `inter`, `fastinter`,
`downinter`, `fall`, `rise`, `timeout check`, `timeout connect`):

- The next check starts `inter` after the end of the last one; `fastinter` while the server is going down
  or up; `downinter` while it is down.
- A check that is refused fails at once. One that is accepted and not answered fails after `timeout check`,
  or after `inter` if that is not set. One whose connection is not accepted fails after the lesser of
  `timeout connect` and `inter`.

The bounds hold for a fault at the worst moment, just after a successful check. They do not include the
duration of successful checks. They were measured on HAProxy 2.6.12.
"""

from __future__ import annotations

from typing import Literal

from calorimeter.core.deployment import Checks

Failing = Literal["refused", "unanswered", "unconnected"]
"""How a check of a failed server fails: at once, without an answer, or without a connection."""

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
    # Without `timeout check` the connection may take the whole of `inter`.
    connect = checks.timeout_connect_s if checks.timeout_check_s else None
    return min(connect or checks.inter_s, checks.inter_s)


def detection_s(checks: Checks, fault: str) -> float:
    """The longest time from a fault (a key of `FAILS`: `kill`, `freeze`, `unreachable` …) to DOWN.

    inter + fall · (time of one failed check) + (fall - 1) · fastinter
    """
    fast = checks.fastinter_s or checks.inter_s
    return checks.inter_s + checks.fall * _one_failure_s(checks, fault) + (checks.fall - 1) * fast


def recovery_s(checks: Checks, fault: str) -> float:
    """The longest time from serving again to UP.

    downinter + (rise - 1) · fastinter, and one failed check if the last check began before the server was
    healed and still fails. A frozen server answers that check when it continues, so it adds nothing there.
    """
    down, fast = checks.downinter_s or checks.inter_s, checks.fastinter_s or checks.inter_s
    lost = _one_failure_s(checks, fault) if fault in ("unreachable", "slow", "cut-off") else 0.0
    return lost + down + (checks.rise - 1) * fast


ATTEMPTS = 4
BETWEEN_ATTEMPTS_S = 1.0
"""HAProxy tries a connection once and repeats it three times, with `retries` as it is by default."""


def attempts_s(connect_s: float) -> float:
    """The longest time that HAProxy's attempts of one connection take; `connect_s` is that of one attempt:
    0 if it is refused, else `timeout connect`."""
    return ATTEMPTS * (connect_s + BETWEEN_ATTEMPTS_S)


def first_check_s(checks: Checks) -> float:
    """The longest time from a proxy's start to the end of a server's first check: HAProxy spreads the first
    checks of its servers over `inter`."""
    return checks.inter_s + answer_s(checks)
