"""When the gates of an acceptance run began and ended, and the steps that they announced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from calorimeter.core.recorded.gate_times import (
    LONGEST_STEP,
    MOST_STEPS,
    GateTime,
    GateTimes,
    StepTime,
)
from calorimeter.core.shown_text import one_line

FURTHER = "further steps"
"""The last step of a gate that has more than the file takes."""


class TimeLine:
    """Notes the gates and their steps. A step lasts until the next one, or until its gate ends."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._gate = ""
        self._gate_began = 0.0
        self._steps: list[tuple[str, float]] = []
        self._uses: dict[str, None] = {}
        self._done: list[GateTime] = []
        self._depends: dict[str, dict[str, None]] = {}

    @property
    def gate(self) -> str:
        """The id of the gate that runs; empty before the first."""
        return self._gate

    def begins(self, gate: str) -> None:
        """A gate begins."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._gate, self._gate_began = gate, now
        self._steps, self._uses = [], {}

    def step(self, what: str) -> None:
        """A step of the gate begins."""
        if len(self._steps) < MOST_STEPS:
            last = len(self._steps) == MOST_STEPS - 1
            self._steps.append((FURTHER if last else one_line(what)[:LONGEST_STEP], self._clock()))

    def uses(self, gate: str) -> None:
        """The gate is judged from an experiment of another one."""
        if gate and gate != self._gate:
            self._uses[gate] = None

    def depends(self, setting: str) -> None:
        """The gate depends on a setting of the run (`Settings`)."""
        self._depends.setdefault(self._gate, {})[setting] = None

    def settings(self) -> tuple[str, ...]:
        """The settings that the gate depends on, by itself or by the experiments that it uses."""
        gates = (self._gate, *self._uses)
        return tuple(dict.fromkeys(name for gate in gates for name in self._depends.get(gate, ())))

    def ended(self) -> None:
        """The gate ended."""
        assert self._began is not None
        now = self._clock()
        ends = [began for _, began in self._steps[1:]] + [now]
        steps = tuple(
            StepTime(what=what, at_s=_rounded(began - self._gate_began), took_s=_rounded(end - began))
            for (what, began), end in zip(self._steps, ends, strict=False)
        )
        self._done.append(
            GateTime(
                gate=self._gate,
                at_s=_rounded(self._gate_began - self._began),
                took_s=_rounded(now - self._gate_began),
                uses=tuple(self._uses),
                steps=steps,
            )
        )

    @property
    def times(self) -> GateTimes:
        """The gates that ended."""
        return GateTimes(gates=tuple(self._done))


SHORT_S = 0.05
"""Steps and rests of a gate that are shorter are not shown."""


def lines(times: GateTimes) -> Iterator[str]:
    """The time line for a terminal: a line for each gate, and one for each of its steps."""
    yield f"time line of {times.took_s:.0f} s: each gate with its begin and length, and what it waited for"
    for gate in times.gates:
        used = f"  (judged from what {', '.join(gate.uses)} did)" if gate.uses else ""
        yield f"{_clock(gate.at_s):>6}  {gate.gate:<4} {gate.took_s:>7.1f} s{used}"
        first = gate.steps[0].at_s if gate.steps else 0.0
        if gate.steps and first >= SHORT_S:
            yield _step(first, "before its first step")
        for step in gate.steps:
            if step.took_s >= SHORT_S:
                yield _step(step.took_s, step.what)


def _step(took_s: float, what: str) -> str:
    return f"{'':<13}{took_s:>7.1f} s  {what}"


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _rounded(seconds: float) -> float:
    return round(seconds, 3)
