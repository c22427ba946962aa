"""The figures of one moment: what the live page, its JSON and the metrics show. Nothing is computed here.

Times are ns since the epoch. A share is None if nothing was counted in the window; `predicted` is None if
no prediction can be made.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core.recorded.recorded_json import Amount, Count, Duration, Time
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Outcome

MOST_GATES = 500
MOMENTS = 300
"""Moments of the time line: five minutes of polls that are made once a second."""

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

BackendState = Literal["up", "down", "drain", "maintenance", "unchecked", "differs", "unknown"]
"""`differs`: the proxies do not agree. `unchecked`: no health check runs, the proxy takes it to be up."""

EngineState = Literal["consuming", "gone"]


class DataSource(Model):
    """Where figures come from: its newest answer (0: none), and why there is no newer one."""

    name: str
    at_ns: Time
    problem: str = ""


class BackendNow(Model):
    """A server behind the proxy. `status` is the proxy's own word.

    `connections` and `share` are of the window, over all proxies; `total` is the proxies' counter.
    """

    section: str
    name: str
    state: BackendState
    status: str
    connections: Count
    total: Count
    share: Share | None
    predicted: Share | None
    sessions: Count
    queued: Count


class EngineNow(Model):
    """A process that consumes `topic`, or did so a short time ago. `deliveries` are of the window."""

    topic: str
    name: str
    state: EngineState
    deliveries: Count
    share: Share | None
    predicted: Share | None


class QueueNow(Model):
    """A queue of the engines at the newest poll."""

    name: str
    ready: Count
    unacknowledged: Count
    consumers: Count


class GeneratorNow(Model):
    """One generating process in its newest second. `limits` says why it, not the deployment, sets the pace.

    `limited` are the seconds of the window in which it did. `stacks` are accepted and not yet final.
    """

    worker: str
    at_ns: Time
    cpu_share: Amount
    lag_p99_s: Duration
    users: Count
    stacks: Count
    requests_per_s: Amount
    dropped: Count
    response_p99_s: Duration | None
    limits: str
    limited: Count


class FaultNow(Model):
    """A fault that is open (`ended_ns` 0) or was healed while this was watched."""

    part: str
    fault: str
    begun_ns: Time
    ended_ns: Time


class GateNow(Model):
    """A verdict, and when it was first seen."""

    gate: str
    heading: str
    outcome: Outcome
    why: str
    waived: bool
    turned_ns: Time


class LiveTimeLine(Model):
    """The last moments, as columns; a figure that was not known then is None."""

    t_ns: tuple[Time, ...] = ()
    requests_per_s: tuple[Amount | None, ...] = ()
    response_p99_s: tuple[Duration | None, ...] = ()
    ready: tuple[Count | None, ...] = ()
    stacks: tuple[Count | None, ...] = ()


class LiveFigures(Model):
    """All figures of one moment. `over`: no newer ones will come. `predicted_by` is by section.

    `gates_of` is the run folder whose verdicts `gates` are; empty if there are none.
    """

    schema_version: Literal[1] = 1
    deployment: str
    run: str
    at_ns: Time
    every_s: Duration
    window_s: Duration
    over: bool
    sources: tuple[DataSource, ...]
    backends: tuple[BackendNow, ...]
    predicted_by: dict[str, str]
    engines: tuple[EngineNow, ...]
    queues: tuple[QueueNow, ...]
    stacks: Count | None
    generator: tuple[GeneratorNow, ...]
    faults: tuple[FaultNow, ...]
    gates_of: str
    gates: tuple[GateNow, ...]
    time_line: LiveTimeLine
