"""The messages between a master and its workers: their types, and the shape that each must have.

They come from another process, maybe of another machine: what is in no list here is not handed on.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from calorimeter.core import bounds
from calorimeter.core.shown_text import plain
from calorimeter.core.toml import Count, Model
from calorimeter.workload.stages import PositiveRate

RUN = "calorimeter_run"
CLOCK = "calorimeter_clock"
BEGIN = "calorimeter_begin"
ABORT = "calorimeter_abort"
FILE = "calorimeter_file"
DONE = "calorimeter_done"

CHUNK_BYTES = 256 * 1024
MOST_PROCESSES = 10_000
MOST_DEEP = 20

_NAME = re.compile(r"[\w.-]{1,253}_[0-9a-f]{32}")
"""A worker's name in Locust: its host, and a random number."""

Time = Annotated[int, Field(ge=0, lt=2**62)]
Number = Annotated[int, Field(ge=0, le=2**53)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(max_length=500)]
RunName = Annotated[str, StringConstraints(pattern=r"^[0-9]{8}T[0-9]{6}Z-[a-z0-9-]{1,60}-[0-9a-f]{4}$")]
"""The name of a run folder (`RunDir.create`)."""

Check = Callable[[Any], Any]
"""Returns the data of a message. Raises ValueError if it has another shape."""

M = TypeVar("M", bound=Model)

# Calorimeter's own messages


class Overrides(Model):
    """What the master's command line says instead of the scenario (`Scenario.with_overrides`).

    The bounds are those of the options: what a master takes, its workers take.
    """

    users: Count | None = None
    rate_per_s: PositiveRate | None = None
    duration_s: Annotated[float, bounds.LOAD] | None = None


class RunOrder(Model):
    """RUN, to each worker: the run that begins, and the worker's part of it.

    With `test_objectives` it reports how many requests were beyond the limits of objectives.
    """

    id: RunName
    worker: Annotated[int, Field(ge=0, lt=MOST_PROCESSES)]
    workers: Annotated[int, Field(ge=1, le=MOST_PROCESSES)]
    given: Overrides
    scenario: Digest
    templates: dict[Text, Digest]
    test_objectives: bool = False


class ClockQuestion(Model):
    """CLOCK, to each worker."""

    sent_ns: Time


class ClockAnswer(ClockQuestion):
    """CLOCK, from a worker: the question's time, and its own."""

    now_ns: Time


class Beginning(Model):
    """BEGIN, to each worker: when arrivals begin, by the worker's clock."""

    at_ns: Time


class Complaint(Model):
    """ABORT, from a worker: why it ends the run, one line."""

    line: Annotated[str, StringConstraints(max_length=2000)]


class FilePiece(Model):
    """FILE, from a worker on another machine: the next piece of one of its own files.

    `part` is the number of a segment, None for the joined file. The master makes the file's name.
    """

    kind: Literal["samples", "ledger", "actions", "watch"]
    part: Annotated[int, Field(ge=1, le=99_999)] | None
    offset: Number
    data: Annotated[bytes, Field(max_length=CHUNK_BYTES)]
    last: bool


class WorkerSummary(Model):
    """DONE, from a worker: its entry in run.json."""

    worker: Text
    connections: Number = 0
    users: Number = 0
    offered: Number | None = None
    dropped: Number | None = None
    windows: Number = 0
    invalid_windows: Number = 0
    scheduling: Text = ""
    sent_bytes: Number | None = None


# Locust's messages. Locust reads more of them than it checks.


class _Locusts(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


Users = dict[Literal["RestUser", "CfnUser"], Annotated[int, bounds.COUNT_OR_NONE]]


class _Spawned(_Locusts):
    user_classes_count: Users


class _Spawn(_Spawned):
    timestamp: Finite
    host: Text | None
    stop_timeout: Annotated[float, Field(ge=0, le=86_400)] | None


class _Entry(_Locusts):
    name: Text
    method: Text
    start_time: Finite
    last_request_timestamp: Finite | None
    num_requests: Number
    num_none_requests: Number
    num_failures: Number
    total_response_time: Finite
    max_response_time: Finite
    min_response_time: Finite | None
    total_content_length: Number
    response_times: dict[Number | Finite, Number]
    num_reqs_per_sec: dict[Number, Number]
    num_fail_per_sec: dict[Number, Number]


class _Error(_Locusts):
    method: Text
    name: Text
    error: str
    occurrences: Number
    first_seen: Finite | None = None
    last_seen: Finite | None = None


class _Stats(_Spawned):
    stats: list[_Entry]
    stats_total: _Entry
    errors: dict[Text, _Error]


class _Heartbeat(_Locusts):
    state: Literal["ready", "spawning", "running", "cleanup", "stopping", "stopped", "missing"]
    current_cpu_usage: Finite
    current_memory_usage: Number


class _Exception(_Locusts):
    msg: str
    traceback: str


class _Logs(_Locusts):
    worker_id: Text
    logs: list[str]


class _Index(_Locusts):
    index: Annotated[int, Field(ge=0, lt=MOST_PROCESSES)]


class _Count(_Locusts):
    user_count: Annotated[int, Field(ge=0, le=bounds.COUNT.most * MOST_PROCESSES)]


def _of(shape: type[BaseModel], **instead: Any) -> Check:
    def check(data: Any) -> Any:
        shape.model_validate(data)
        return data | instead

    return check


def _nothing(_: Any) -> None:
    return None


def _version(data: Any) -> str:
    if not isinstance(data, str) or not 5 <= len(data) <= 40:
        raise ValueError("no version")
    return data


def _own(data: Any) -> Any:
    return data  # its handler checks it: `parsed`


OF_WORKERS: dict[str, Check] = {
    "client_ready": _version,
    **dict.fromkeys(("client_stopped", "spawning", "quit"), _nothing),
    "heartbeat": _of(_Heartbeat),
    "stats": _of(_Stats),
    "spawning_complete": _of(_Spawned),
    "exception": _of(_Exception),
    "logs": _of(_Logs),
    **dict.fromkeys((CLOCK, FILE, DONE, ABORT), _own),
}
"""What a worker may send. Locust's `locustfile` is left out: it would hand over files."""

OF_MASTERS: dict[str, Check] = {
    "ack": _of(_Index),
    # Locust would set the worker's own options from the master's.
    "spawn": _of(_Spawn, parsed_options={}),
    "spawning_complete": _of(_Count),
    **dict.fromkeys(("stop", "quit", "reconnect", "heartbeat"), _nothing),
    **dict.fromkeys((RUN, CLOCK, BEGIN), _own),
}
"""What a master may send. Locust's `update_user_class` is left out: it would change classes at will."""


def parsed(shape: type[M], data: Any) -> M | None:
    """The content of one of Calorimeter's messages; None if it has another shape."""
    try:
        return shape.model_validate(data)
    except (ValidationError, RecursionError):
        return None


def worker_name(identity: bytes) -> str | None:
    """The name of a worker, None if no Locust made it."""
    try:
        name = identity.decode()
    except ValueError:
        return None
    return name if _NAME.fullmatch(name) else None


def plain_data(value: Any, deep: int = 0) -> Any:
    """A message's data with its texts as `shown_text.plain` shows them.

    Raises ValueError if it is no plain data.
    """
    if isinstance(value, str):
        return plain(value)
    if value is None or isinstance(value, bool | int | bytes):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if deep < MOST_DEEP and isinstance(value, dict):
        return {plain_data(key, deep + 1): plain_data(each, deep + 1) for key, each in value.items()}
    if deep < MOST_DEEP and isinstance(value, list):
        return [plain_data(each, deep + 1) for each in value]
    raise ValueError("no plain data")
