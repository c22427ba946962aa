"""How the load generator itself did, second by second, and when it was the bottleneck.

`watch/generator.jsonl` has one `Window` a line, of each worker.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from calorimeter.core.toml import Model

MOST_CPU_SHARE = 0.9
"""Of one core: more leaves a Python process no room, and queues form before it is full."""

MOST_LAG_SHARE = 0.1
"""Lag as a part of the response times that it is in: a larger one shows in two digits."""

LEAST_LAG_S = 0.002
"""Less is what the generator's own timer may cost."""

BAD_OFFSET_S = 0.05
"""Clocks that NTP keeps differ by less; a larger offset makes times of two machines hard to compare."""


def clock_is_off(offset_s: float, within_s: float = 0.0) -> bool:
    """Whether a clock differs too much, by an offset that is known to `within_s` (s)."""
    return abs(offset_s) > BAD_OFFSET_S + within_s


class Window(Model):
    """About a second of one worker, up to `t_ns` (ns since the epoch); times are seconds.

    `lag_…` is how late arrivals were handed to a user, or, where users are closed, how late a timer of
    10 ms was served; `timed` of them were noted, and `late` were later than `allowed_s` of the median
    response time. `offered` and `dropped` are arrivals (0 where users are closed). `requests` is how
    many answers were recorded, `response_…` how long they took from when they were due (None: none were).
    `connections` were made in the window, `users` were there at its end. `why_invalid` is what `bottleneck`
    says.
    """

    t_ns: int
    length_s: float
    worker: str
    cpu_share: float
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float
    timed: int = 0
    late: int = 0
    offered: int = 0
    dropped: int = 0
    requests: int = 0
    response_p50_s: float | None = None
    response_p99_s: float | None = None
    users: int = 0
    connections: int = 0
    why_invalid: str = ""


def allowed_s(response_s: float | None) -> float:
    """How late the generator may be where an answer takes so long: a tenth of it, and always 2 ms."""
    return max(LEAST_LAG_S, MOST_LAG_SHARE * (response_s or 0.0))


def busy(window: Window) -> str:
    """Why a generating process had no time left in this window; empty: it had."""
    if window.cpu_share > MOST_CPU_SHARE and (window.requests or window.offered):
        return f"the generator used {window.cpu_share:.0%} of its core"
    return ""


def bottleneck(window: Window) -> str:
    """Why the generator, not the deployment, limits what was measured in this window; empty: it does not.

    The rule: its process used more than 90 % of a core, or its lag was above 2 ms and above a tenth of the
    window's response time, the median or the 99th percentile of both. Where there was nothing to do,
    nothing was limited. Dropped arrivals are no reason: they are failures already, and mostly those of a
    deployment that answers too late.
    """
    if not window.requests and not window.offered:
        return ""
    if why := busy(window):
        return why
    half = (window.lag_p50_s, window.response_p50_s, "half")
    last = (window.lag_p99_s, window.response_p99_s, "1 %")
    for lag_s, response_s, share in (half, last):
        if lag_s > (most_s := allowed_s(response_s)):
            late = f"{share} was late by {lag_s * 1e3:.1f} ms or more"
            return f"{late}, {most_s * 1e3:.1f} ms are allowed"
    return ""


def windows(run: Path) -> list[Window]:
    """What a run recorded, in order of time; a line that was cut off by a kill is left out."""
    file = run / "watch" / "generator.jsonl"
    if not file.exists():
        return []
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    found = []
    for line in lines:
        try:
            found.append(Window.model_validate(json.loads(line)))
        except (ValueError, ValidationError):
            continue
    return sorted(found, key=lambda window: window.t_ns)
