"""evidence/budget.json of a run folder: where the time of its traced requests and stacks went.

`calorimeter.gates.request_path` makes it from the trace and the samples, pages show it. All times are
seconds, and the segments of a cohort add up to its response time.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from calorimeter.core import files
from calorimeter.core.recorded import recorded_json
from calorimeter.core.recorded.recorded_json import Count, Duration, Time
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.toml import Model

NAME = "budget"
"""Its name among the evidence of a run."""

MOST_WINDOWS = 1000
MOST_OPERATIONS = 2000
MOST_COHORTS = 10
MOST_PLACES = 500
MOST_STEPS = 200
MOST_SLOWEST = 100
MOST_NOTES = 2000

RequestSegment = Literal[
    "generator", "proxy", "api_before", "broker", "redelivery", "engine", "api_between", "api_after",
    "way_back", "unseen",
]  # fmt: skip
"""The segments of a request, in order:

- `generator`: from when it was due until its first byte was sent; a new connection is opened within it
- `proxy`: until the proxy had a connection to the server (its queue, and connecting), by its log
- `api_before`: in the API until its first RPC, with Keystone's part, which the trace does not show apart;
  the whole time in the API if it makes none
- `broker`: calls of the API, from publish to delivery
- `redelivery`: from the first delivery of a call to the last one, if an engine lost it
- `engine`: from the delivery of a call to the engine's reply
- `api_between`: in the API between two calls
- `api_after`: in the API after the last reply, until the client has the first byte of the answer
- `way_back`: from there to the last byte of the answer
- `unseen`: what a missing link of the trace does not show apart
"""

StackSegment = Literal["start", "broker", "engine", "between", "end"]
"""The segments of a stack from its acceptance until it was seen to be complete, in order:

- `start`: until the first message of its convergence was published
- `broker`, `engine`: along the chain of messages that the last one depends on, from publish to delivery,
  and from delivery to the publish of the next; repeated attempts at a sync point are within `engine`
- `between`: before a message whose publisher had received none of the stack
- `end`: from the last delivery until the load saw the end: the last engine's work and the load's next poll
"""

LONGEST_TEXT = 600

Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Doubts = Annotated[tuple[Text, ...], Field(max_length=MOST_NOTES)]
OperationName = Annotated[str, Field(max_length=1100)]


class TraceWindow(Model):
    """A window of tracing; times in ns since the epoch.

    The requests of a window are those that were sent from `from_ns` to `to_ns`; tracing was on until
    `off_ns`, so that they could end.
    """

    from_ns: Time
    to_ns: Time
    off_ns: Time


Windows = Annotated[tuple[TraceWindow, ...], Field(max_length=MOST_WINDOWS)]


class Cohort(Model):
    """Requests (or stacks) near a rank of the time that they took; all figures but `n` are s.

    `name` is `p50`, `p95`, `p99` or `slowest tenth`; `from_s` and `to_s` are the extremes of the cohort's
    times, `mean_s` their mean. `segments` are means, too, `engines` the mean time in each engine.
    """

    name: Annotated[str, Field(max_length=40)]
    n: Count
    from_s: Duration
    to_s: Duration
    mean_s: Duration
    segments: Annotated[dict[RequestSegment, Duration], Field(max_length=20)]
    engines: Annotated[dict[Text, Duration], Field(max_length=MOST_PLACES)] = {}


class StackCohort(Model):
    """The same of stacks. `messages` is the mean number of messages of a stack, `hops` of those in its
    chain.

    `waits` is the mean of an upper bound on waits at sync points beside the chain: from the delivery of a
    message that led to no other until the next message of the stack was published.
    """

    name: Annotated[str, Field(max_length=40)]
    n: Count
    from_s: Duration
    to_s: Duration
    mean_s: Duration
    segments: Annotated[dict[StackSegment, Duration], Field(max_length=20)]
    engines: Annotated[dict[Text, Duration], Field(max_length=MOST_PLACES)] = {}
    messages: Duration
    hops: Duration
    waits: Duration


class OperationBudget(Model):
    """The cohorts of one operation (`rest list`; `all` for all of them); `n` is how many were counted."""

    operation: OperationName
    n: Count
    cohorts: Annotated[tuple[Cohort, ...], Field(max_length=MOST_COHORTS)]


class StackBudget(Model):
    """The same of the stacks that one operation made."""

    operation: OperationName
    n: Count
    cohorts: Annotated[tuple[StackCohort, ...], Field(max_length=MOST_COHORTS)]


class Step(Model):
    """A step of a slow request: its segment, who had it, what it was (a method) and how long, s."""

    segment: RequestSegment
    who: Text
    what: Text = ""
    took_s: Duration


class SlowWay(Model):
    """A request with its way; `adds_up` is whether the times of the evidence fit together."""

    operation: OperationName
    request_id: Text
    due_ns: Time
    took_s: Duration
    adds_up: bool
    steps: Annotated[tuple[Step, ...], Field(max_length=MOST_STEPS)]


class Seen(Model):
    """How many requests the budget is of.

    Of `due` requests of the measured part, `traced` were sent while tracing was on, `unfinished` of them
    had not ended when it was switched off, `failed` did not get the answer that their operation expects. Of
    the `answered` ones `followed` have no missing link, and the segments of `added_up` fit their response
    time within 1 % or 2 ms. `missing` counts the missing links. `stacks_due` and `stacks` are the same of
    stacks: all that were accepted, and those that were seen from their acceptance to their end.
    """

    due: Count
    traced: Count
    unfinished: Count
    failed: Count
    answered: Count
    followed: Count
    added_up: Count
    missing: Annotated[dict[Text, Count], Field(max_length=50)] = {}
    stacks_due: Count
    stacks: Count


class LatencyBudget(Model):
    """The whole file. `windows` is empty if the whole load was traced; `doubts` are sentences.

    `start_ns` is when the first request of the run was due.
    """

    schema_version: Literal[1] = 1
    start_ns: Time
    windows: Windows = ()
    seen: Seen
    operations: Annotated[tuple[OperationBudget, ...], Field(max_length=MOST_OPERATIONS)]
    stacks: Annotated[tuple[StackBudget, ...], Field(max_length=MOST_OPERATIONS)] = ()
    slowest: Annotated[tuple[SlowWay, ...], Field(max_length=MOST_SLOWEST)]
    doubts: Doubts = ()


def read(run: RunDir) -> LatencyBudget | None:
    """Read the budget of a run folder; None if there is none. Raises InputError if it is damaged."""
    try:
        return recorded_json.record(run.path / "evidence" / f"{NAME}.json", LatencyBudget, within=run.path)
    except files.MissingFileError:
        return None
