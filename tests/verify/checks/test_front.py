"""Golden evidence for P1, P2 and P3."""

from __future__ import annotations

from calorimeter.verdict import Outcome
from verify.checks.front import Call, ClientCalls, Front, Version, answers_at_the_front, client_works

FRONT = "10.0.0.1:8004"


def front(**changes: object) -> Front:
    """The REST API that answers through the proxy."""
    version = Version(id="v1.0", status="CURRENT", href=f"http://{FRONT}/v1/")
    fields: dict[str, object] = {
        "api": "rest",
        "url": f"http://{FRONT}/",
        "front": FRONT,
        "backends": {"a": "10.0.0.2:8004"},
        "section": "rest_api_proxy",
        "status": 300,
        "versions": (version,),
        "counted": 1,
        "section_known": True,
    }
    return Front.model_validate(fields | changes)


def test_version_document_through_the_proxy_passes() -> None:
    """Heat's versions at the front address, counted by the proxy, pass."""
    judgement = answers_at_the_front(front())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["versions"] == "v1.0 CURRENT"


def test_nobody_there_fails() -> None:
    """A front address at which nobody answers is the counter-example."""
    judgement = answers_at_the_front(front(status=0, error="Connection refused", versions=()))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (f"GET http://{FRONT}/: Connection refused",)


def test_something_else_there_fails() -> None:
    """An answer that is no version document is quoted."""
    judgement = answers_at_the_front(front(status=200, answer="It works!", versions=()))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("status 200: 'It works!'",)


def test_backend_at_the_front_address_fails() -> None:
    """Where the front address is a backend's own, the proxy is passed by."""
    judgement = answers_at_the_front(front(backends={"a": FRONT}))
    assert judgement.outcome is Outcome.FAIL
    assert "pass the proxy by" in judgement.why


def test_links_past_the_proxy_fail() -> None:
    """Links in the document that name a backend lead clients past the proxy."""
    away = Version(id="v1.0", status="CURRENT", href="http://10.0.0.2:8004/v1/")
    assert answers_at_the_front(front(versions=(away,))).outcome is Outcome.FAIL


def test_proxy_that_counted_nothing_fails() -> None:
    """An answer that the proxy did not count came from somebody else."""
    assert answers_at_the_front(front(counted=0)).outcome is Outcome.FAIL
    assert answers_at_the_front(front(counted=None, section_known=False)).outcome is Outcome.FAIL


def test_unseen_proxy_is_said() -> None:
    """Without the proxy's stats the answer alone counts, and the verdict says so."""
    judgement = answers_at_the_front(front(counted=None, section_known=None))
    assert judgement.outcome is Outcome.PASS
    assert "cannot be seen" in judgement.why


def client(**changes: object) -> ClientCalls:
    """Four calls that worked."""
    fields: dict[str, object] = {
        "command": "openstack",
        "front": FRONT,
        "endpoint": f"http://{FRONT}/v1/abc",
        "stack": "tiny",
        "calls": tuple(
            Call(words=("stack", verb), status=0, said="", took_s=3.0)
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


def test_failed_call_fails_and_is_quoted() -> None:
    """A call that failed is quoted with what the client said."""
    bad = Call(words=("stack", "list"), status=1, said="Unable to establish connection", took_s=3.0)
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
    """A client that works at another address than the proxy's proves nothing of it."""
    assert client_works(client(endpoint="http://10.0.0.2:8004/v1/abc")).outcome is Outcome.FAIL
    assert client_works(client(counted=0)).outcome is Outcome.FAIL


def test_no_call_is_inconclusive() -> None:
    """No data is INCONCLUSIVE."""
    assert client_works(client(calls=())).outcome is Outcome.INCONCLUSIVE
