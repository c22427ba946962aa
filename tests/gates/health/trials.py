"""Literal trials for golden evidence: one server of two broken at second 10, healed at 20."""

from __future__ import annotations

from typing import Any

from calorimeter.core.deployment import Checks
from calorimeter.gates.health.trial import (
    Attempt,
    DirectRequest,
    Expectations,
    FaultTrial,
    InjectedFault,
    LoggedStatus,
    StatusChange,
)

S = 1_000_000_000
CHECKS = Checks(inter_s=1.0, fall=2, rise=2, timeout_check_s=1.0, timeout_connect_s=10.0)
SECTION = "rest_api_proxy"
AT, HEALED = 10 * S, 20 * S


def at(seconds: float) -> int:
    """Nanoseconds of a moment in seconds."""
    return int(seconds * S)


def attempt(
    when: float, server: str | None = "b", took: float = 0.01, status: int = 300, **more: Any
) -> Attempt:
    """One request of the only source of a server."""
    given = {
        "api": "rest", "source": f"127.16.0.{ord(server or chr(98))}", "port": 1, "kept": False,
        "due_ns": at(when), "sent_ns": at(when), "done_ns": at(when + took), "status": status,
        "error": "" if status else "closed without an answer", "server": server,
    }  # fmt: skip
    return Attempt(**{**given, **more})


def steady(begin: float, end: float, server: str, **more: Any) -> list[Attempt]:
    """Requests every 0.25 s from the source that `server` was home to."""
    source = more.pop("home", server)
    steps = int((end - begin) * 4)
    return [attempt(begin + n / 4, server, source=f"127.16.0.{ord(source)}", **more) for n in range(steps)]


def direct(when: float, status: int, took: float = 0.01) -> DirectRequest:
    """One request to the backend itself."""
    return DirectRequest(sent_ns=at(when), done_ns=at(when + took), status=status)


def change(when: float, status: str, server: str = "a", gap: float = 0.05) -> StatusChange:
    """A status in the proxy's state, first seen at `when`."""
    return StatusChange(
        proxy="proxy", section=SECTION, server=server, status=status,
        last_ns=at(when - gap), seen_ns=at(when),
    )  # fmt: skip


def log_line(when: float, state: str) -> LoggedStatus:
    """A log line on server a."""
    return LoggedStatus(section=SECTION, server="a", state=state, received_ns=at(when))


def injected(
    fault: str = "kill", directs: tuple[DirectRequest, ...] | None = None, **more: Any
) -> InjectedFault:
    """Server a has the fault from 10 to 20, and serves again at 20.5."""
    usual = (
        *(direct(n, 300) for n in range(5, 10)),
        *(direct(n + 0.5, 0, 0.0) for n in range(10, 20)),
        direct(20.5, 300, 0.0),
    )
    given = {
        "api": "rest", "section": SECTION, "server": "a", "fault": fault, "at_ns": AT, "exact": True,
        "ended_ns": AT + S // 10, "heal_began_ns": HEALED, "healed_ns": HEALED + S,
        "direct": usual if directs is None else directs,
    }  # fmt: skip
    return InjectedFault(**{**given, **more})


def trial(down: float | None = 11.5, up: float | None = 21.9, **more: Any) -> FaultTrial:
    """A good trial: DOWN at `down`, UP at `up`; a's clients fail until it is DOWN, b's never fail."""
    seen = down or 20.0
    changes = [change(5, "UP", gap=5), change(5, "UP", "b", gap=5)]
    lines = []
    if down is not None:
        changes.append(change(down, "DOWN"))
        lines.append(log_line(down - 0.02, "DOWN"))
    if up is not None and down is not None:
        changes.append(change(up, "UP"))
        lines.append(log_line(up - 0.02, "UP"))
    attempts = [
        *steady(0, 10, "a"),
        *steady(10, seen, "a", status=0),
        *steady(seen + 0.1, up or 24, "b", home="a"),
        *steady((up or 24) + 0.1, 25, "a"),
        *steady(0, 25, "b"),
    ]
    given = {
        "fault": "kill", "began_ns": 0, "ended_ns": at(25), "checks": CHECKS,
        "wanted": Expectations(max_detection_s=5.0, max_recovery_s=5.0, cut_sessions=True),
        "backends": {SECTION: ("a", "b")}, "injected": (injected(),), "proxies": ("proxy",),
        "changes": tuple(changes), "logged": True, "said": tuple(lines),
        "check_ms": {f"{SECTION}/a": 4}, "largest_gap_ns": at(0.06), "attempts": tuple(attempts),
    }  # fmt: skip
    return FaultTrial(**{**given, **more})
