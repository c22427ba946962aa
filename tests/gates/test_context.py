"""The context of the gates: experiments that several gates share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.gates.context import FAST, Context, Settings, shared
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from tests.gates.test_registry import deployment

RUNS: list[str] = []


@shared
def visits(context: Context, api: str, path: str = "/") -> str:
    """Visit an API."""
    RUNS.append(f"{context.deployment.name} {api}{path}")
    if api == "cfn":
        raise EvidenceUnavailable("cfn", "does not answer")
    return f"visits of {api}{path}"


@pytest.fixture
def context() -> Context:
    """A context of a deployment that nothing connects to."""
    RUNS.clear()
    return new_context(deployment())


def new_context(described: Deployment) -> Context:
    """A context that nothing has been done in."""
    return Context(described, Settings())


def test_shared_experiment_runs_once_per_arguments(context: Context) -> None:
    """A second gate gets the first result, however the arguments are written; other arguments run again."""
    assert visits(context, "rest") == "visits of rest/"
    assert visits(context, api="rest", path="/") == "visits of rest/"
    assert visits(context, "rest", "/v1") == "visits of rest/v1"
    assert RUNS == ["cloud rest/", "cloud rest/v1"]


def test_failure_of_a_shared_experiment_is_shared(context: Context) -> None:
    """An experiment that could not be carried out is not repeated for the next gate."""
    for _ in range(2):
        with pytest.raises(EvidenceUnavailable, match="does not answer"):
            visits(context, "cfn")
    assert RUNS == ["cloud cfn/"]


@shared
def calls(context: Context) -> int:
    """Make calls."""
    return context.strength("calls")


def test_a_first_look_says_what_is_weaker_in_each_gate_that_depends_on_it() -> None:
    """Also in a gate that uses another one's experiment; not in one that needs no such strength."""
    context = Context(deployment(), replace(FAST, visits=9))
    said = {}
    for gate, does in {
        "E2": lambda: calls(context),
        "E4": lambda: calls(context),
        "S1": lambda: (context.strength("sources"), context.strength("visits")),
        "P4": lambda: context.strength("connections"),
        "A1": lambda: None,
    }.items():
        context.time_line.begins(gate)
        does()
        said[gate] = context.weaker()
        context.time_line.ended()
    fewer = "a first look: 90 calls instead of 1000"
    assert said == {
        **{"E2": fewer, "E4": fewer, "P4": "", "A1": ""},
        "S1": "a first look: 300 sources instead of 1000",
    }


def test_an_experiment_aside_is_done_once_and_announces_nothing(context: Context) -> None:
    """Its first use gets the result, or what it raised; the time line is that of the gates that go on."""
    shown: list[str] = []
    context.show = shown.append
    context.time_line.begins("E5")
    context.begin_aside(lambda aside: visits(aside, "rest"))
    context.begin_aside(lambda aside: visits(aside, "cfn"))
    context.settle()
    assert visits(context, "rest") == "visits of rest/"
    with pytest.raises(EvidenceUnavailable, match="does not answer"):
        visits(context, "cfn")
    assert sorted(RUNS) == ["cloud cfn/", "cloud rest/"]
    context.time_line.ended()
    (gate,) = context.time_line.times.gates
    assert gate.uses == ()
    assert shown == [step.what for step in gate.steps]
    assert not {*shown} - {"waiting for what began beside another gate"}


def test_contexts_do_not_share_results(context: Context) -> None:
    """The next acceptance run in the same process measures again."""
    visits(context, "rest")
    visits(new_context(deployment()), "rest")
    assert RUNS == ["cloud rest/"] * 2


def test_shared_experiment_keeps_its_name_and_docstring() -> None:
    """`calorimeter gates` reads both."""
    assert (visits.__name__, visits.__doc__) == ("visits", "Visit an API.")
