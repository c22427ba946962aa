"""Golden evidence for S9."""

from __future__ import annotations

import pytest

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.affinity.restart import Restart, Restarts, clients_return
from calorimeter.gates.clients.visits import ExpectedBalance
from tests.gates.affinity.test_failover_stuck import BEFORE, DOWN, Homes, visits


def restart(
    after: Homes = BEFORE, before: Homes = BEFORE, balance: str = "source", **changes: object
) -> Restart:
    """A restart of one proxy."""
    described = ExpectedBalance(balance=balance)
    fields: dict[str, object] = {
        "api": "rest",
        "restarted": ("proxy",),
        "back": True,
        "before": visits(before, described=described),
        "after": visits(after, described=described),
    }
    return Restart.model_validate(fields | changes)


def judged(*args: Homes, **changes: object) -> Judgement:
    """S9."""
    return clients_return(Restarts(apis=(restart(*args, **changes),)))  # type: ignore[arg-type]


def test_clients_that_return_pass() -> None:
    """With the rate of others that would have been seen."""
    found = judged()
    assert found.outcome is Outcome.PASS
    assert "each of 60 clients was on the same REST backend after proxy was restarted" in found.why


def test_clients_that_do_not_return_fail() -> None:
    """As when a stick table is lost."""
    found = judged(BEFORE | {"10.0.0.1": "b"})
    assert found.outcome is Outcome.FAIL
    assert found.counter_examples == ("REST 10.0.0.1: a before, b after",)


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "random", "first"])
def test_clients_without_a_home_have_none_to_return_to(balance: str) -> None:
    """NOT RUN: nothing was restarted."""
    assert judged(balance=balance, restarted=()).outcome is Outcome.NOT_RUN


def test_clients_that_stick_may_all_be_on_one_backend() -> None:
    """As after S7 with two backends: what they would do without the table is seen if it is lost."""
    everybody = dict.fromkeys(BEFORE, "a")
    for after, outcome in ((everybody, Outcome.PASS), (BEFORE, Outcome.FAIL)):
        seen = restart().model_copy(update={"before": visits(everybody), "after": visits(after)})
        assert clients_return(Restarts(apis=(seen,))).outcome is outcome


def test_what_cannot_be_compared_is_inconclusive() -> None:
    """A proxy that is not back, another state of the servers, one backend, no answers."""
    assert judged(back=False).outcome is Outcome.INCONCLUSIVE
    changed = visits({**BEFORE, "10.0.0.1": "b"}, after=DOWN, described=ExpectedBalance())
    seen = restart().model_copy(update={"after": changed})
    assert clients_return(Restarts(apis=(seen,))).outcome is Outcome.INCONCLUSIVE
    assert judged(dict.fromkeys(BEFORE, "a"), dict.fromkeys(BEFORE, "a")).outcome is Outcome.INCONCLUSIVE
    assert judged(dict.fromkeys(BEFORE, None)).outcome is Outcome.INCONCLUSIVE
