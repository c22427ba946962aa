"""Experiments that break engines: what they leave behind, refuse to break, and measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines import engine_faults
from calorimeter.gates.engines.traced_calls import BrokerTrace
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.ledger import stacks_during_crashes
from tests.gates.engines.fake_broker import (
    Engine,
    FakeBroker,
    FakeClient,
    FakeContext,
    FakeLiveness,
    broker_trace,
    joined_requests,
)

S = 1_000_000_000
ENGINES = [Engine("engine-1", 7, "c1"), Engine("engine-2", 7, "c2")]


def opened(monkeypatch: pytest.MonkeyPatch, trace: BrokerTrace) -> None:
    """Let the experiments open that trace, and a Heat that answers at once."""

    @contextmanager
    def trace_broker(_: Context) -> Iterator[BrokerTrace]:
        yield trace

    for module in (engine_faults, stacks_during_crashes):
        monkeypatch.setattr(module, "trace_broker", trace_broker)
        monkeypatch.setattr(module, "HeatClient", FakeClient)
    monkeypatch.setattr(stacks_during_crashes, "join_requests", joined_requests)
    monkeypatch.setattr(engine_faults, "BEFORE_S", 0.0)
    monkeypatch.setattr(engine_faults, "EVERY_S", 0.001)


@pytest.mark.parametrize(
    ("experiment", "injected"),
    [
        (engine_faults.restart_engine, {"stop engine-2"}),
        (engine_faults.crash_engine, {"kill engine-2"}),
        (engine_faults.freeze_engine, {"freeze engine-2"}),
        (engine_faults.kill_all_engines, {"kill engine-1", "kill engine-2"}),
        (stacks_during_crashes.create_stacks_during_crashes, {"kill engine-2"}),
    ],
)
def test_a_trial_that_breaks_off_after_the_fault_is_healed(
    experiment: Callable[[Context], object], injected: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later gates find the engines alive even if a part goes away between a fault and its end."""
    context = FakeContext()
    trace = broker_trace(context, FakeBroker(ENGINES))
    opened(monkeypatch, trace)

    def go_away() -> None:
        cast("FakeLiveness", trace.liveness).problem = EvidenceUnavailable("broker", "went away")

    context.fake_injector.on_inject = go_away
    with pytest.raises(EvidenceUnavailable, match="broker: went away"):
        experiment(context)
    *before, last = context.fake_injector.done
    assert (set(before), last) == (injected, "heal all")


@pytest.mark.parametrize(
    ("heartbeat_s", "waited_s"), [(6, 20.0), (19, 59.0), (20, 0.0), (60, 0.0), (None, 0.0)]
)
def test_heartbeat_is_awaited_if_that_is_bounded(heartbeat_s: int | None, waited_s: float) -> None:
    """Three heartbeats and two seconds; not beyond the minute that is allowed here, nor without one."""
    assert engine_faults.longest_notice_s(heartbeat_s, 60) == waited_s


def run_of(broker: FakeBroker, *parts: str, fault: str = "kill") -> engine_faults.EngineFaultRun:
    """A run that is to break these engines."""
    context = FakeContext()
    chosen = [FaultCommands(part, fault, "true", "true", "engine") for part in parts]
    client: Any = FakeClient(context)
    return engine_faults.EngineFaultRun(
        context, broker_trace(context, broker), cast("HeatClient", client), chosen
    )


@pytest.mark.parametrize("parts", [("engine-1", "engine-2"), ("engine-2",)])
def test_engine_that_does_not_consume_is_not_broken(parts: tuple[str, ...]) -> None:
    """If one of the engines to be broken is missing, the trial ends before anything is touched."""
    with pytest.raises(EvidenceUnavailable, match="engine-2 does not consume from engine.*see gate E1"):
        run_of(FakeBroker(ENGINES[:1]), *parts)


def test_engine_whose_consumers_cannot_be_determined_is_not_broken() -> None:
    """Containers behind one address, both with process 7: their consumers cannot be told apart."""
    broker = FakeBroker([Engine("engine-1", 7, "c1", "10.0.0.1"), Engine("engine-2", 7, "c2", "10.0.0.1")])
    with pytest.raises(
        EvidenceUnavailable, match="consumers of engine_worker that belong to engine-2 cannot be determined"
    ):
        run_of(broker, "engine-2")


@pytest.mark.parametrize(("fault", "returned"), [("kill", ("engine-2 [7]",)), ("freeze", ())])
def test_engine_that_returns_with_the_same_process_id_has_returned(
    fault: str, returned: tuple[str, ...]
) -> None:
    """In a container it has its old name; the id of its consumer is new."""
    broker = FakeBroker([*ENGINES])
    run = run_of(broker, "engine-2", fault=fault)
    assert not run.noticed()
    broker.engines[1] = Engine("engine-2", 7, "new")
    assert run.noticed()
    run.heal()
    assert run.returned == returned


def test_api_time_is_measured_before_the_fault() -> None:
    """A call queued behind a thawed engine's backlog shows nothing of the API; other engines' calls do."""
    early, broken_ = call(1, 0.2), call(1.5, 3.0, ok=False)
    thawed, other = call(41, 9.0, "engine-3"), call(42, 0.4, "engine-1")
    calls = (early, broken_, call(9.5, 5.0, "engine-3"), thawed, other)
    assert engine_faults.longest_undisturbed_s(calls, ("engine-3",), 10 * S, 40 * S) == 0.2
    assert engine_faults.longest_undisturbed_s(calls[1:], ("engine-3",), 10 * S, 40 * S) == 0.4
    assert engine_faults.longest_undisturbed_s(calls[1:4], ("engine-3",), 10 * S, 40 * S) == 0.0
    assert engine_faults.longest_undisturbed_s(calls[1:], ("engine-3",), 10 * S, 0) == 0.0


def test_api_time_is_measured_by_requests_that_it_refuses_on_its_own() -> None:
    """Another error, or none, shows nothing of the API."""
    took = [(0.2, 400), (1.4, 400), (9.0, 503), (20.0, 0)]
    calls = [call(1, s).model_copy(update={"status": status}) for s, status in took]
    assert engine_faults.longest_refused_s(calls) == 1.4
    assert engine_faults.longest_refused_s(calls[2:]) == 0.0


def call(at_s: float, took_s: float, engine: str = "engine-1", *, ok: bool = True) -> HeatCall:
    """A call sent at second `at_s` that took `took_s`."""
    return HeatCall(
        operation="list",
        request_id="req-1",
        sent_ns=int(at_s * S),
        done_ns=int((at_s + took_s) * S),
        status=200 if ok else 500,
        engine=engine,
    )
