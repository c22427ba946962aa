"""How the load generator itself performed, second by second, and when it was the bottleneck.

`watch/generator.jsonl` has one `GeneratorWindow` per line, from every worker.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import LATEST_NS, LONGEST_S
from calorimeter.core.toml import Model

MOST_CPU_SHARE = 0.9
"""Share of one core. Above it a Python process has no reserve, and queues form before the core is full."""

MOST_LAG_SHARE = 0.1
"""Lag as a share of the response time that contains it. A larger one changes the second digit."""

LEAST_LAG_S = 0.002
"""Lag that is always allowed: the generator's own timer may cost as much."""

BAD_OFFSET_S = 0.05
"""Clocks that NTP keeps differ by less. With a larger offset, times of two machines are hard to compare."""


def clock_is_off(offset_s: float, within_s: float = 0.0) -> bool:
    """Whether a clock's offset, known to within `within_s`, exceeds `BAD_OFFSET_S`."""
    return abs(offset_s) > BAD_OFFSET_S + within_s


class GeneratorWindow(Model):
    """About one second of one worker, up to `t_ns` (ns since the epoch). Durations are seconds.

    `lag_…` is how late arrivals were handed to a user or, with closed users, how late a 10 ms timer fired;
    `timed` of them were measured, and `late` of those exceeded `allowed_lag_s` of the median response time.
    `offered` and `dropped` count arrivals (0 with closed users). `requests` is the number of recorded
    answers, `response_…` their response times, from the moment they were due (None if there were none).
    `connections` were opened in the window; `users` ran at its end, with `stacks` that were accepted and
    not yet seen in a final state. `why_invalid` is the result of `bottleneck`.
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
    stacks: int = 0
    why_invalid: str = ""


def allowed_lag_s(response_s: float | None) -> float:
    """The lag allowed beside this response time: a tenth of it, and always 2 ms."""
    return max(LEAST_LAG_S, MOST_LAG_SHARE * (response_s or 0.0))


def cpu_shortage(window: GeneratorWindow) -> str:
    """Why the generating process had no CPU time left in this window; empty if it had."""
    if window.cpu_share > MOST_CPU_SHARE and (window.requests or window.offered):
        return f"the generator used {window.cpu_share:.0%} of its core"
    return ""


def bottleneck(window: GeneratorWindow) -> str:
    """Why the generator, not the deployment, limits what was measured in this window; empty if it does not.

    The rule: its process used more than 90 % of a core, or its lag exceeded both 2 ms and a tenth of the
    response time, comparing medians with medians and 99th percentiles with 99th percentiles. A window
    without work is never limited. Dropped arrivals are no reason: they already count as failures, and
    mostly come from a deployment that answers too late.
    """
    if not window.requests and not window.offered:
        return ""
    if why := cpu_shortage(window):
        return why
    half = (window.lag_p50_s, window.response_p50_s, "half")
    last = (window.lag_p99_s, window.response_p99_s, "1 %")
    for lag_s, response_s, share in (half, last):
        if lag_s > (most_s := allowed_lag_s(response_s)):
            late = f"{share} of the generator's lags were {lag_s * 1e3:.1f} ms or more"
            return f"{late}; {most_s * 1e3:.1f} ms are allowed"
    return ""


def windows(run: Path) -> list[GeneratorWindow]:
    """The windows that a run recorded, in order of time, without a line that a kill cut off.

    Raises InputError if the file cannot be read, or leads out of the run.
    """
    file = run / "watch" / "generator.jsonl"
    if not file.exists():
        return []
    found = [window_of(tree) for tree in recorded_json.lines(file, within=run)]
    return sorted((window for window in found if window is not None), key=lambda window: window.t_ns)


def window_of(tree: object) -> GeneratorWindow | None:
    """The window that a line of the file holds; None if it is damaged, or no generator can have been so."""
    with suppress(InputError):
        window = recorded_json.validated(tree, GeneratorWindow, "a window of the generator")
        numbers = window.model_dump(exclude={"t_ns"}).values()
        if 0 <= window.t_ns <= LATEST_NS and all(
            abs(value) <= LONGEST_S for value in numbers if isinstance(value, int | float)
        ):
            return window
    return None
