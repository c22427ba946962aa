"""The gates E and L under sabotage of a real lab: each turns exactly the right gates red.

The tests go from one sabotage to the next and heal at the end: each sabotage writes the engine's whole
heat.conf and restarts it, so nothing of the one before is left.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome, Verdict
from calorimeter.core.waiting import CancelledError, DeadlineError, until
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.lab.sabotage import engine_sabotage
from tests.gates import in_process
from tests.gates.favouring_consumer import favourite

pytestmark = pytest.mark.lab

CALLS, STACKS = 60, 10
MANY = 1000
"""Calls, of which enough are left when something happens in the middle."""

BEGUN, BEGUN_WITHIN_S = 15, 60.0
"""Deliveries from `engine` since tracing was switched on, after which the calls are in progress."""

QUICK = "E1,E2,E4"

ALL = "E1,E2,E3,E4,E5,E6,E7,E8,E10,L1,L2,L3"
"""Every gate E and L except E9, which Heat's own clean stop turns red."""

FAULTS = "E5 E6 E7 E8 L3"
"""The gates that break engines; they break nothing if the engines are not as E1 requires."""


@dataclass(frozen=True, slots=True)
class Case:
    """The expected outcomes of a sabotage: of the `gates` the `red` ones are FAIL, all others PASS.

    With all gates (`bin/soak engines --all-gates`) the `unjudged` ones must be INCONCLUSIVE and point at
    E1, and the `either` ones may be FAIL or PASS.
    """

    red: str
    gates: str = QUICK
    unjudged: str = ""
    either: str = ""


CASES = {
    "engine-vhost": Case("E1", unjudged=FAULTS),
    "engine-workers": Case("E1"),
    "engine-dies": Case("E1", unjudged=FAULTS),
    # A consumer that is behind loses turns, but only under load.
    "engine-prefetch": Case("E1", gates="E1,E2", either="E3 E4 E5"),
    "engine-key": Case("L1", gates="E1,E2,E3,L1,L2"),
    "engine-extra": Case("E1", unjudged=FAULTS),
}
"""Sabotage → expected outcomes."""

STRANGERS = {0: Case("E1", unjudged=FAULTS), 10: Case("E1 E2 E4", unjudged=FAULTS)}
"""A stranger's priority → expected outcomes. Without a priority it does not break the rotation."""


def calorimeter(*args: str, timeout: float = 400) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "calorimeter", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


@pytest.fixture(scope="module")
def deployment(lab: Deployment) -> Iterator[Deployment]:
    """The shared lab, healed at the end; its file describes the healthy lab all the time."""
    yield lab
    assert calorimeter("lab", "heal", "--name", lab.name).returncode == 0


def verified(deployment: Deployment, runs: Path, gates: str, calls: int = CALLS) -> dict[str, Verdict]:
    """Run gates: gate → verdict."""
    return in_process.verified(deployment.path, gates, runs, calls=calls, stacks=STACKS)


def assert_red(found: dict[str, Verdict], red: str) -> None:
    """Exactly these gates are FAIL, with counter-examples, and all others PASS."""
    outcomes = {gate: f"{v.judgement.outcome}: {v.judgement.why}" for gate, v in found.items()}
    failed = {gate for gate, v in found.items() if v.judgement.outcome is Outcome.FAIL}
    assert failed == set(red.split()), outcomes
    others = {gate for gate, v in found.items() if v.judgement.outcome is Outcome.PASS}
    assert others == set(found) - failed, outcomes
    assert all(found[gate].judgement.counter_examples for gate in failed)


def in_progress(api: BrokerApi, ended: threading.Event) -> bool:
    """Wait until calls are in progress; False if tracing ends, or the wait is cancelled, before that."""

    def delivered() -> int:
        queue = api.queue("engine")
        return (queue.delivered or 0) if queue else 0

    begun = delivered()
    with suppress(CancelledError, DeadlineError):
        until(
            lambda: not api.tracing() or delivered() >= begun + BEGUN,
            BEGUN_WITHIN_S,
            every_s=0.2,
            cancel=ended,
        )
        return api.tracing()
    return False


@contextmanager
def once_traced(
    deployment: Deployment, act: Callable[[BrokerApi], None], *, again: bool = False
) -> Iterator[None]:
    """Call `act` once tracing is on and calls are in progress; with `again`, in every trace."""
    ended = threading.Event()

    def wait() -> None:
        with BrokerApi.of(deployment) as api:
            while not ended.wait(0.1):
                if api.tracing() and in_progress(api, ended):
                    act(api)
                    if not again:
                        return

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


def test_every_engine_sabotage_is_tested() -> None:
    """Every sabotage of an engine has an expected outcome here."""
    assert set(CASES) == set(engine_sabotage.ENGINE_SABOTAGES)


@pytest.mark.parametrize("priority", STRANGERS)
def test_stranger_on_the_queue_is_red(priority: int, deployment: Deployment, tmp_path: Path) -> None:
    """A consumer of `engine` that is no engine turns E1 red; with a priority it breaks the rotation too."""
    with favourite(deployment, priority):
        found = verified(deployment, tmp_path, STRANGERS[priority].gates)
    assert_red(found, STRANGERS[priority].red)


def test_tracing_that_is_switched_off_during_the_calls_is_inconclusive(
    deployment: Deployment, tmp_path: Path
) -> None:
    """An incomplete trace proves nothing: E4 is INCONCLUSIVE and says why; E1 passes."""
    with once_traced(deployment, lambda api: api.set_tracing(False)):
        found = verified(deployment, tmp_path, "E1,E4", MANY)
    assert found["E1"].judgement.outcome is Outcome.PASS
    assert found["E4"].judgement.outcome is Outcome.INCONCLUSIVE, found["E4"].judgement
    assert "tracing" in found["E4"].judgement.why


def test_engine_that_dies_during_the_calls_is_named(deployment: Deployment, tmp_path: Path) -> None:
    """E2 ends at once, is INCONCLUSIVE, and names the engine that went away."""
    kill = ("lab", "part", "--name", deployment.name, "engine-3", "kill")
    with once_traced(deployment, lambda _: calorimeter(*kill) and None):
        found = verified(deployment, tmp_path, "E2", MANY)
    assert found["E2"].judgement.outcome is Outcome.INCONCLUSIVE, found["E2"].judgement
    assert found["E2"].judgement.why.startswith("engine-3 ["), found["E2"].judgement
    assert "stopped consuming during the experiment" in found["E2"].judgement.why


@pytest.mark.parametrize("sabotage", CASES)
def test_sabotage_of_an_engine_turns_exactly_the_right_gates_red(
    sabotage: str, deployment: Deployment, tmp_path: Path
) -> None:
    """Each sabotage turns its gates red, with counter-examples, and no other gate."""
    case = CASES[sabotage]
    done = calorimeter("lab", "sabotage", sabotage, "--name", deployment.name)
    assert done.returncode == 0, done.stderr
    found = verified(deployment, tmp_path, case.gates)
    assert_red(found, case.red)
    if sabotage == "engine-key":
        assert "auth_encryption_key" in found["L1"].judgement.counter_examples[0]
    if case.red == "E1" and sabotage != "engine-prefetch":
        assert "engine-3 has" in found["E1"].judgement.why


def test_healed_engines_are_green(deployment: Deployment, tmp_path: Path) -> None:
    """After all sabotage is healed the gates are green."""
    assert calorimeter("lab", "heal", "--name", deployment.name).returncode == 0
    assert_red(verified(deployment, tmp_path, QUICK), "")
