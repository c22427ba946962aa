"""What an experiment that breaks off leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.context import Context
from calorimeter.gates.engines import engine_faults
from calorimeter.gates.engines.rotation import Consumer
from calorimeter.gates.evidence.broker_records import EngineConsumer, Process
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.gates.ledger import crash_accounts

S = 1_000_000_000
Experiment = Callable[[Context], object]


@contextmanager
def given(*_: object) -> Iterator[Any]:
    """Whatever the experiment opens."""
    yield SimpleNamespace(api=None, check=None, until=None, consumers=lambda _: (), burst=lambda _: None)


@pytest.mark.parametrize(
    "experiment",
    [engine_faults._restarted, engine_faults.crashed, engine_faults.frozen, engine_faults.all_gone],
)
def test_a_trial_that_breaks_off_after_the_fault_is_healed(
    monkeypatch: pytest.MonkeyPatch, experiment: Experiment
) -> None:
    """The gates that follow find the engines alive, whatever went away between the fault and its end."""
    done: list[str] = []

    class EngineFaultRun:
        """A trial that breaks off once it is broken."""

        def __init__(self, *_: object) -> None:
            pass

        def await_steady(self, _: object) -> None:
            """Steady at once."""

        def inject(self) -> None:
            """The fault, and the end of the evidence."""
            done.append("broken")
            raise EvidenceUnavailable("broker", "went away under way")

    monkeypatch.setattr(engine_faults, "EngineFaultRun", EngineFaultRun)
    client = SimpleNamespace(look=None, refuse=None)
    monkeypatch.setattr(engine_faults, "HeatClient", lambda _: client)
    monkeypatch.setattr(engine_faults, "engine_commands", lambda *_: [None])
    for opened in ("traced", "stacks", "Stream"):
        monkeypatch.setattr(engine_faults, opened, given)
    with pytest.raises(EvidenceUnavailable):
        experiment(context(done))
    assert done == ["broken", "healed"]


def test_an_account_that_breaks_off_is_healed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, for the crashes under a burst of stacks."""
    done: list[str] = []

    def crash(*_: object) -> None:
        done.append("broken")
        raise EvidenceUnavailable("broker", "went away under way")

    client = SimpleNamespace(speaks_cfn=False)
    monkeypatch.setattr(crash_accounts, "HeatClient", lambda _: client)
    monkeypatch.setattr(crash_accounts, "engine_commands", lambda *_: [None])
    monkeypatch.setattr(crash_accounts, "_apis", lambda *_: [])
    monkeypatch.setattr(crash_accounts, "see_breakable", lambda *_: None)
    monkeypatch.setattr(crash_accounts, "_warm", lambda *_: None)
    monkeypatch.setattr(crash_accounts, "_crash", crash)
    for opened in ("traced", "joining", "stacks"):
        monkeypatch.setattr(crash_accounts, opened, given)
    with pytest.raises(EvidenceUnavailable):
        crash_accounts.accounts(context(done))
    assert done == ["broken", "healed"]


@pytest.mark.parametrize(
    ("heartbeat_s", "waited_s"), [(6, 20.0), (19, 59.0), (20, 0.0), (60, 0.0), (None, 0.0)]
)
def test_heartbeat_is_waited_for_where_that_is_bounded(heartbeat_s: int | None, waited_s: float) -> None:
    """Three heartbeats and two seconds; not beyond the minute that is allowed here, nor without one."""
    assert engine_faults.noticing_s(heartbeat_s, 60) == waited_s


@pytest.mark.parametrize("commands", [["engine-1", "engine-2"], ["engine-2"]])
def test_engine_that_consumes_nothing_is_not_broken(commands: list[str]) -> None:
    """One of those that a trial is to break is not there: it ends before anything is touched."""
    at = {"connection": "c", "channel": 1, "queue": "engine", "tag": "t", "acknowledges": True, "user": "u"}
    one = EngineConsumer(
        **at, prefetch=0, given_name=None, peer_host="h", server="engine-1",
        process=Process(role="heat-engine", pid=1, host="h"),
    )  # fmt: skip
    api = SimpleNamespace(where="broker", engine_consumers=lambda topic: (one,))
    chosen: list[Any] = [SimpleNamespace(part=part) for part in commands]
    watching: Any = SimpleNamespace(api=api, consumers=None)
    nothing: Any = None
    with pytest.raises(EvidenceUnavailable, match="engine-2 does not consume from engine.*see gate E1"):
        engine_faults.EngineFaultRun(nothing, watching, nothing, chosen)


def test_engine_whose_consumers_cannot_be_told_is_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers behind one address, all with process 7: whose going is the fault's nobody could say."""
    monkeypatch.setattr(engine_faults, "see_fit", lambda *_: None)
    workers = [
        Consumer(id="w1#1", name="engine-1 [7]"),
        Consumer(id="w#1", name="heat-engine[7]@h (w, channel 1)"),
    ]
    watching: Any = SimpleNamespace(api=SimpleNamespace(where="broker"), consumers=lambda _: workers)
    chosen: list[Any] = [SimpleNamespace(part="engine-1"), SimpleNamespace(part="engine-3")]
    nothing: Any = None
    with pytest.raises(
        EvidenceUnavailable, match="which consumers of engine_worker are those of engine-3 cannot"
    ):
        engine_faults.EngineFaultRun(nothing, watching, nothing, chosen)


@pytest.mark.parametrize(("fault", "returned"), [("kill", ("engine-3 [7]",)), ("freeze", ())])
def test_engine_that_returns_with_the_same_process_id_has_returned(
    fault: str, returned: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container it has the same name as before; which consumers are there tells."""
    monkeypatch.setattr(engine_faults, "see_fit", lambda *_: None)
    old, new = (Consumer(id=f"{c}#1", name="engine-3 [7]") for c in ("old", "new"))
    other = Consumer(id="other#1", name="engine-1 [7]")
    now = [(other, old), (other, old), (other, new)]
    watching: Any = SimpleNamespace(
        api=None, consumers=lambda _: now[0], known={"new#1": new.name}, until=lambda met, _: met()
    )
    chosen: list[Any] = [SimpleNamespace(part="engine-3", fault=fault)]
    quiet: Any = SimpleNamespace(injector=SimpleNamespace(heal=None))
    nothing: Any = None
    trying = engine_faults.EngineFaultRun(quiet, watching, nothing, chosen)
    monkeypatch.setattr(trying, "together", lambda _: [])
    assert not trying.look()
    now[:] = now[2:]
    assert trying.look()
    trying.heal()
    assert trying.returned == returned


def test_what_the_api_takes_is_told_from_calls_before_the_fault() -> None:
    """What was queued behind a thawed engine's backlog says nothing of the API; else others' calls do."""
    early, broken_ = call(1, 0.2), call(1.5, 3.0, ok=False)
    thawed, other = call(41, 9.0, "engine-3"), call(42, 0.4, "engine-1")
    calls = (early, broken_, call(9.5, 5.0, "engine-3"), thawed, other)
    assert engine_faults.without_fault_s(calls, ("engine-3",), 10 * S, 40 * S) == 0.2
    assert engine_faults.without_fault_s(calls[1:], ("engine-3",), 10 * S, 40 * S) == 0.4
    assert engine_faults.without_fault_s(calls[1:4], ("engine-3",), 10 * S, 40 * S) == 0.0
    assert engine_faults.without_fault_s(calls[1:], ("engine-3",), 10 * S, 0) == 0.0


def test_what_the_api_takes_is_told_from_what_it_refuses_by_itself() -> None:
    """Where it is refused otherwise, or not at all, that tells nothing of the API."""
    took = [(0.2, 400), (1.4, 400), (9.0, 503), (20.0, 0)]
    calls = [call(1, s).model_copy(update={"status": status}) for s, status in took]
    assert engine_faults.alone_s(calls) == 1.4
    assert engine_faults.alone_s(calls[2:]) == 0.0


def call(at_s: float, took_s: float, engine: str = "engine-1", *, ok: bool = True) -> HeatCall:
    """A call that was sent at a second, and took so long."""
    return HeatCall(
        operation="list",
        request_id="req-1",
        sent_ns=int(at_s * S),
        done_ns=int((at_s + took_s) * S),
        status=200 if ok else 500,
        engine=engine,
    )


def context(done: list[str]) -> Context:
    """A context with one engine that notes when all is healed."""
    return cast(
        "Context",
        SimpleNamespace(
            injector=SimpleNamespace(heal_all=lambda: done.append("healed")),
            deployment=SimpleNamespace(expect=SimpleNamespace(rpc_timeout_s=1.0), path="d.toml"),
            engines=SimpleNamespace(names=("engine-1",)),
        ),
    )
