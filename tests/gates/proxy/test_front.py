"""Golden evidence for P1 and P2."""

from __future__ import annotations

from calorimeter.core.verdict import Outcome
from calorimeter.gates.clients.visits import missed_rate
from calorimeter.gates.proxy.front import ApiVersion, FrontReplies, FrontReply, answers_at_the_front
from calorimeter.gates.proxy.front_requests import REQUESTS

FRONT = "10.0.0.1:8004"


V1 = ApiVersion(id="v1.0", status="CURRENT", href=f"http://{FRONT}/v1/")
PAST = ApiVersion(id="v1.0", status="CURRENT", href="http://10.0.0.2:8004/v1/")


def reply(source: str = "10.0.0.8", **changes: object) -> FrontReply:
    """Heat's version document, whose links lead to the front address."""
    return FrontReply.model_validate({"source": source, "status": 300, "versions": (V1,)} | changes)


def front(*replies: FrontReply, **changes: object) -> FrontReplies:
    """The REST API that answers through the proxy, to two sources."""
    fields: dict[str, object] = {
        "api": "rest",
        "url": f"http://{FRONT}/",
        "front": FRONT,
        "backends": {"a": "10.0.0.2:8004"},
        "section": "rest_api_proxy",
        "replies": replies or (reply(), reply("10.0.0.9"), reply()),
        "counted": 3,
        "section_known": True,
    }
    return FrontReplies.model_validate(fields | changes)


def test_version_document_through_the_proxy_passes() -> None:
    """Heat's versions at the front address, counted by the proxy, pass."""
    judgement = answers_at_the_front(front())
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["versions"] == "v1.0 CURRENT"
    assert [judgement.figures[name] for name in ("sources", "connections", "requests")] == [2, 3, 3]
    assert judgement.figures["missed_rate_95"] == 0.631597  # 1 - 0.05^(1/3)


def test_fifty_nine_requests_show_a_violation_of_one_in_twenty() -> None:
    """That is why so many are sent: one fewer would not do."""
    assert [round(missed_rate(n), 4) for n in (REQUESTS - 1, REQUESTS)] == [0.0503, 0.0495]


def test_front_without_an_answer_fails() -> None:
    """The request that was not answered is the counter-example."""
    judgement = answers_at_the_front(front(reply(status=0, error="Connection refused", versions=())))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why == f"nothing answers for the REST API at {FRONT}: Connection refused"
    assert judgement.counter_examples == (f"GET http://{FRONT}/: Connection refused",)


def test_one_request_without_an_answer_fails() -> None:
    """An API that answers two clients and not the third does not answer at this address."""
    judgement = answers_at_the_front(
        front(reply(), reply(), reply(status=0, error="no answer within 30 s"))
    )
    assert judgement.outcome is Outcome.FAIL
    assert judgement.why.startswith("1 of 3 requests were not answered")


def test_something_else_there_fails() -> None:
    """An answer that is not a version document is quoted once."""
    other = reply(status=200, answer="It works!", versions=())
    judgement = answers_at_the_front(front(reply(), other, other))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("status 200: 'It works!'",)


def test_backend_at_the_front_address_fails() -> None:
    """If the front address is a backend's own, clients bypass the proxy."""
    judgement = answers_at_the_front(front(backends={"a": FRONT}))
    assert judgement.outcome is Outcome.FAIL
    assert "bypass the proxy" in judgement.why


def test_links_past_the_proxy_fail() -> None:
    """Links in one backend's document that name a backend lead its clients past the proxy."""
    judgement = answers_at_the_front(front(reply(), reply("10.0.0.9", versions=(PAST,))))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("v1.0: http://10.0.0.2:8004/v1/ (backend a)",)


def test_proxy_that_counted_nothing_fails() -> None:
    """An answer that the proxy did not count came from something else."""
    assert answers_at_the_front(front(counted=0)).outcome is Outcome.FAIL
    assert answers_at_the_front(front(counted=None, section_known=False)).outcome is Outcome.FAIL


UNSENT = {"status": 0, "error": "Cannot assign requested address", "unsent": True, "versions": ()}


def test_what_this_machine_could_not_send_is_inconclusive() -> None:
    """Without a port or a route no request was sent: that says nothing about Heat or the proxy."""
    first = answers_at_the_front(front(reply(**UNSENT), counted=0, section_known=False))
    later = answers_at_the_front(front(reply(), reply(), reply(**UNSENT), counted=2))
    assert (first.outcome, later.outcome) == (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE)
    assert first.why == (
        f"this machine could not send request 1 to {FRONT}: Cannot assign requested address"
    )
    assert (later.figures["requests"], later.figures["connections"]) == (3, 2)


def test_what_was_answered_wrongly_stays_wrong() -> None:
    """A counter-example counts, whatever could not be sent after it."""
    judgement = answers_at_the_front(front(reply(versions=(PAST,)), reply(**UNSENT), counted=1))
    assert judgement.outcome is Outcome.FAIL


def test_no_request_is_inconclusive() -> None:
    """No data is INCONCLUSIVE."""
    judgement = answers_at_the_front(front().model_copy(update={"replies": (), "counted": 0}))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert judgement.why == f"no request was sent to {FRONT}"


def test_answers_that_the_proxy_did_not_count_are_inconclusive() -> None:
    """Something else may answer too, or the proxy was restarted."""
    judgement = answers_at_the_front(front(counted=2))
    assert judgement.outcome is Outcome.INCONCLUSIVE
    assert "counted 2 sessions, but 3 requests were answered" in judgement.why


def test_proxy_without_stats_is_mentioned() -> None:
    """Without the proxy's stats the answer alone counts, and the verdict says so."""
    judgement = answers_at_the_front(front(counted=None, section_known=None))
    assert judgement.outcome is Outcome.PASS
    assert "cannot be determined" in judgement.why
