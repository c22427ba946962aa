"""Golden evidence for P3."""

from __future__ import annotations

from calorimeter.core.verdict import Outcome
from calorimeter.gates.proxy.openstack_client import ClientCall, ClientCalls, client_works

FRONT = "10.0.0.1:8004"


def client(**changes: object) -> ClientCalls:
    """Four calls that worked."""
    fields: dict[str, object] = {
        "command": "openstack",
        "front": FRONT,
        "endpoint": f"http://{FRONT}/v1/abc",
        "stack": "tiny",
        "calls": tuple(
            ClientCall(words=("stack", verb), status=0, said="", took_s=3.0)
            for verb in ("list", "create", "show", "delete")
        ),
        "listed": True,
        "shown": "CREATE_COMPLETE",
        "counted": 12,
    }
    return ClientCalls.model_validate(fields | changes)


def test_client_that_works_passes() -> None:
    """List, create, show and delete that did what they say pass."""
    judgement = client_works(client())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["seconds"] == 12.0
    assert judgement.figures["commands"] == 4
    assert judgement.figures["missed_rate_95"] == 0.527129  # 1 - 0.05^(1/4)


def test_failed_call_fails_and_is_quoted() -> None:
    """A call that failed is quoted with the last line of its errors."""
    bad = ClientCall(words=("stack", "list"), status=1, said="Unable to establish connection", took_s=3.0)
    judgement = client_works(client(calls=(bad,)))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "`openstack stack list` ended with status 1: Unable to establish connection",
    )


def test_stack_that_is_not_there_or_stays_fails() -> None:
    """What the calls say must be so: listed after the create, complete, and gone after the delete."""
    for change in ({"listed": False}, {"shown": "CREATE_FAILED"}, {"left": True}):
        assert client_works(client(**change)).outcome is Outcome.FAIL


def test_catalog_past_the_proxy_fails() -> None:
    """A client that works at another address proves nothing about the proxy."""
    assert client_works(client(endpoint="http://10.0.0.2:8004/v1/abc")).outcome is Outcome.FAIL
    assert client_works(client(counted=0)).outcome is Outcome.FAIL


def test_catalog_may_name_the_front_otherwise() -> None:
    """By a name for its host, or without the port that a scheme has anyway."""
    named = client(endpoint="http://controller:8004/v1/abc", at_front=True)
    assert client_works(named).outcome is Outcome.PASS
    assert client_works(named.model_copy(update={"at_front": False})).outcome is Outcome.FAIL


def test_no_call_is_inconclusive() -> None:
    """No data is INCONCLUSIVE."""
    assert client_works(client(calls=())).outcome is Outcome.INCONCLUSIVE


def test_commands_that_keystone_let_down_are_inconclusive() -> None:
    """If Keystone gives no token right after a command failed, Heat was perhaps not called at all."""
    locked = ClientCall(
        words=("stack", "list"), status=1, said="Gone", took_s=1.0, keystone="cannot be reached"
    )
    bad = ClientCall(words=("stack", "show"), status=1, said="ERROR", took_s=1.0)
    judgement = client_works(client(calls=(locked,)))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "Keystone gave no token (cannot be reached)" in judgement.why
    assert client_works(client(calls=(locked, bad))).outcome is Outcome.FAIL


def test_client_of_which_nothing_shows_where_it_went_is_inconclusive() -> None:
    """Either the catalog or the proxy's counters must say that it was the proxy."""
    assert client_works(client(endpoint=None, counted=None)).outcome is Outcome.INCONCLUSIVE
    assert client_works(client(endpoint=None)).outcome is Outcome.PASS
    assert client_works(client(counted=None)).outcome is Outcome.PASS
