"""The shapes of messages: what has another one is refused, and nothing raises anything else."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from calorimeter.commands.param_types import NumberParam
from calorimeter.commands.run import run
from calorimeter.core import bounds
from calorimeter.load.recording.histogram import Histogram
from calorimeter.load.run import worker_messages
from calorimeter.load.run.worker_messages import (
    OF_MASTERS,
    OF_WORKERS,
    Beginning,
    ClockQuestion,
    Complaint,
    Overrides,
    RunOrder,
    parsed,
    plain_data,
    worker_name,
)
from tests.load.run.any_message import ANYTHING, nearly

LOCUSTS: list[type[BaseModel]] = [
    each
    for each in vars(worker_messages).values()
    if isinstance(each, type) and issubclass(each, worker_messages._Locusts)
]
OF_MASTER = (RunOrder, ClockQuestion, Beginning, Complaint)
ORDER = {"id": "20261130T010203Z-step-ab12", "worker": 0, "workers": 2, "given": {"users": 3}}
ORDER |= {"scenario": "ab" * 32, "templates": {"tiny.yaml": "cd" * 32}}


@settings(max_examples=30)
@given(data=ANYTHING | nearly(*LOCUSTS), kind=st.sampled_from([*OF_WORKERS.items(), *OF_MASTERS.items()]))
def test_a_check_raises_nothing_but_a_value_error(data: Any, kind: Any) -> None:
    """Whatever Locust's messages contain, they are taken or refused."""
    with suppress(ValueError):
        kind[1](plain_data(data))


@settings(max_examples=30)
@given(data=ANYTHING | nearly(*OF_MASTER), shape=st.sampled_from(OF_MASTER))
def test_no_message_raises_in_a_worker(data: Any, shape: Any) -> None:
    """Of a master's messages, a worker takes those of the right shape, and no path."""
    found = parsed(shape, data)
    assert found is None or not isinstance(found, RunOrder) or "/" not in found.id


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "../../etc"},
        {"id": "20261130T010203Z-step-ab12\n"},
        {"id": "20261130T010203Z-/../-ab12"},
        {"run": "/etc"},
        {"worker": -1},
        {"worker": True},
        {"worker": 10**9},
        {"given": {"users": bounds.COUNT.most + 1}},
        {"given": {"rate_per_s": float("nan")}},
        {"given": {"duration_s": float("inf")}},
        {"given": {"rest": {}}},
        {"scenario": "name = 1"},
        {"templates": {"tiny.yaml": "no digest"}},
    ],
)
def test_a_worker_takes_no_other_order(wrong: dict[str, Any]) -> None:
    """A run has a name, bounded numbers and digests; a path is no part of it."""
    assert parsed(RunOrder, ORDER) is not None
    assert parsed(RunOrder, {**ORDER, **wrong}) is None


@pytest.mark.parametrize("option", ["--users", "--rate", "--duration"])
def test_a_worker_takes_what_the_option_takes(option: str) -> None:
    """The option and the message have one bound: no worker ignores the order of its master."""
    (param,) = (param for param in run.params if option in param.opts)
    assert isinstance(param.type, NumberParam)
    within = param.type.within
    (key,) = (key for key in Overrides.model_fields if key.startswith(option.removeprefix("--")))
    for number, taken in ((within.least, True), (within.most, True), (within.most + 1, False)):
        order = parsed(RunOrder, {**ORDER, "given": {key: number}})
        assert (order is not None and getattr(order.given, key) == number) == taken


@pytest.mark.parametrize(
    "identity",
    [b"host_" + b"0" * 31, b"<b>_" + b"0" * 32, b"\x1b[2J_" + b"0" * 32, b"a/b_" + b"0" * 32, b"\xff", b""],
)
def test_a_name_that_locust_does_not_make_is_none(identity: bytes) -> None:
    """Names go into lines and into run.json: a host and a random number, nothing else."""
    assert worker_name(b"load-1.example_" + b"0a" * 16) == "load-1.example_" + "0a" * 16
    assert worker_name(identity) is None


@settings(max_examples=30)
@given(st.dictionaries(st.text(alphabet="0123456789-²_ ", max_size=6) | st.integers(), ANYTHING) | ANYTHING)
def test_a_histogram_counts_only_what_can_be(message: Any) -> None:
    """Negative, huge and unknown buckets and counts change nothing; others are added."""
    histogram = Histogram()
    histogram.merge_message(message)
    assert histogram.count >= 0
    before = histogram.count
    histogram.merge_message({"7": 3, "-1": 5, "99999": 5, "8": -2, "9": 2**62, "10": True, "x": 1})
    assert histogram.count == before + 3
