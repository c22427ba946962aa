"""Experiments that break engines: what they leave behind, refuse to break, and measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.faults.schedule import FaultCommands
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.context import Context
from calorimeter.gates.engines import engine_faults, fault_targets
from calorimeter.gates.engines.traced_calls import BrokerTrace
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.ledger import stacks_during_crashes
from tests.gates.engines.fake_broker import (
    OWN_HOSTS,
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


def run_of(
    broker: FakeBroker, *parts: str, fault: str = "kill", groups: tuple[EngineGroup, ...] = OWN_HOSTS
) -> engine_faults.EngineFaultRun:
    """A run that is to break these engines."""
    context = FakeContext(groups)
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


def test_engine_whose_consumers_cannot_be_determined_is_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers behind one address, both with process 7: their consumers cannot be told apart."""
    monkeypatch.setattr(fault_targets, "WORKERS_WITHIN_S", 0.0)
    broker = FakeBroker([Engine("engine-1", 7, "c1", "10.0.0.1"), Engine("engine-2", 7, "c2", "10.0.0.1")])
    with pytest.raises(EvidenceUnavailable, match=r"engine_worker that belong to engine-2 \[7\] cannot"):
        run_of(broker, "engine-2")


@pytest.fixture
def never_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for engines that nothing starts again."""
    monkeypatch.setattr(engine_faults, "BACK_S", 0.0)


SHARED = (EngineGroup(host="heat", processes=2, workers=2),)
PAIRS = [Engine("heat", pid, f"c{pid}", "10.0.0.1") for pid in (11, 12, 21, 22)]
"""Two engines with two workers each, under one host name."""


@pytest.mark.usefixtures("never_back")
@pytest.mark.parametrize("struck", [(0, 1), (2, 3)])
@pytest.mark.parametrize("part", ["engine-1", "engine-2"])
def test_engine_of_a_shared_host_is_found_by_its_consumers(
    part: str, struck: tuple[int, int], never_back: None
) -> None:
    """Whichever part's command was run; as long as one of its workers consumes, it is not gone."""
    broker = FakeBroker([*PAIRS])
    run = run_of(broker, part, groups=SHARED)
    first, second = (PAIRS[n] for n in struck)
    broker.engines.remove(second)
    assert not run.noticed()
    broker.engines.remove(first)
    assert run.noticed()
    run.heal()
    assert run.struck() == (f"heat [{first.pid}]", f"heat [{second.pid}]")
    assert run.targets.sizes == {"heat": (2, 2)}


@pytest.mark.usefixtures("never_back")
def test_all_that_went_until_the_healing_is_recorded() -> None:
    """Also more than one engine: the check sees it, and that nothing went."""
    broker = FakeBroker([*PAIRS])
    run = run_of(broker, "engine-1", groups=SHARED)
    del broker.engines[2:]
    assert run.noticed()
    del broker.engines[:]
    run.heal()
    assert len(run.struck()) == 4
    run = run_of(FakeBroker([*PAIRS]), "engine-1", groups=SHARED)
    assert not run.noticed()
    run.heal()
    assert run.struck() == ()


def test_crashed_engine_of_a_shared_host_is_known_on_both_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """L3: its work is what was delivered to its own consumers, and not to those of the other engine."""
    broker, context = FakeBroker([*PAIRS]), FakeContext(SHARED)
    trace = broker_trace(context, broker)
    chosen = [FaultCommands("engine-1", "kill", "true", "true", "engine")]
    targets = fault_targets.fault_targets(context, trace, chosen)
    before = stacks_during_crashes._engine_consumers(trace, targets)
    assert len(before) == 8
    monkeypatch.setattr(stacks_during_crashes, "GONE_S", 0.0)
    del broker.engines[3:]
    assert not targets.whole(stacks_during_crashes._await_gone(trace, targets, before))
    del broker.engines[2:]
    died = stacks_during_crashes._await_gone(trace, targets, before)
    assert died == ("heat [21]", "heat [22]")
    assert targets.whole(died)
    own = {id_ for id_, name in before.items() if name in died}
    assert own == {f"c{pid}{on}" for pid in (21, 22) for on in ("#1", "-work#2")}


def test_incomplete_shared_host_is_not_broken() -> None:
    """One engine of two is missing: whether a part's command strikes the other one is unknown."""
    with pytest.raises(EvidenceUnavailable, match="heat has 2 consumers on engine, 4 described.*gate E1"):
        run_of(FakeBroker(PAIRS[:2]), "engine-1", groups=SHARED)


@pytest.mark.usefixtures("never_back")
def test_frozen_engine_of_a_shared_host_is_found_by_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its consumers stay; calls to both workers time out, and the other engine answers."""
    run = run_of(FakeBroker([*PAIRS]), "engine-1", fault="freeze", groups=SHARED)
    monkeypatch.setattr(engine_faults.EngineFaultRun, "broken_ns", 10 * S)
    calls = [
        call(n + n % 4 / 10, 0.1 if n % 4 > 1 else 8.0, str(n % 4), ok=n % 4 > 1) for n in range(11, 20)
    ]
    calls = [c.model_copy(update={"engine": run.targets.names[int(c.engine or "")]}) for c in calls]
    monkeypatch.setattr(run.stream, "calls", lambda: tuple(calls))
    monkeypatch.setattr(run.trace.__class__, "attributed", lambda _, given: tuple(given))
    run.heal()
    run.healing_ns = 30 * S
    assert run.struck() == ("heat [11]", "heat [12]")


@pytest.mark.usefixtures("never_back")
def test_containers_that_share_a_host_name_and_a_process_id_are_told_apart_by_their_address(
    never_back: None,
) -> None:
    """With one address, too, they cannot be told apart, and none is broken."""
    groups = (EngineGroup(host="heat", processes=2),)
    apart = FakeBroker([Engine("heat", 7, f"c{n}", f"10.0.0.{n}") for n in (1, 2)])
    run = run_of(apart, "engine-1", groups=groups)
    assert run.targets.names == ("heat [7 at 10.0.0.1]", "heat [7 at 10.0.0.2]")
    del apart.engines[0]
    run.heal()
    assert run.struck() == ("heat [7 at 10.0.0.1]",)
    alike = FakeBroker([Engine("heat", 7, f"c{n}", "10.0.0.1") for n in (1, 2)])
    with pytest.raises(EvidenceUnavailable, match=r"consumers of engine that belong to heat \[7\] cannot"):
        run_of(alike, "engine-1", groups=groups)


def test_consumer_keeps_its_name_when_a_namesake_joins() -> None:
    """The calls that were delivered to it before stay its own."""
    broker = FakeBroker([Engine("heat", 7, "c1", "10.0.0.1")])
    trace = broker_trace(FakeContext(), broker)
    assert [c.name for c in trace.consumers()] == ["heat [7]"]
    broker.engines.append(Engine("heat", 7, "c2", "10.0.0.2"))
    assert [c.name for c in trace.consumers()] == ["heat [7]", "heat [7 at 10.0.0.2]"]


@pytest.mark.parametrize(("fault", "returned"), [("kill", ("engine-2 [7]",)), ("freeze", ())])
def test_engine_that_returns_with_the_same_process_id_has_returned(
    fault: str, returned: tuple[str, ...]
) -> None:
    """In a container it has its old name; the id of its consumer is new."""
    broker = FakeBroker([*ENGINES])
    run = run_of(broker, "engine-2", fault=fault)
    assert not run.noticed()
    broker.engines[1] = Engine("engine-2", 7, "new")
    run.inject()
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
