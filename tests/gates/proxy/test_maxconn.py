"""Golden evidence for P4."""

from __future__ import annotations

from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.gates.clients.visits import Visit
from calorimeter.gates.proxy.maxconn import (
    MaxconnSaturation,
    ProxySaturation,
    ServerSaturation,
    nothing_is_dropped,
)


def visit(took_s: float, status: int = 300) -> Visit:
    """One visit that took this many seconds."""
    error = "" if status else "closed without an answer"
    return Visit(source="1", port=1, sent_ns=0, done_ns=int(took_s * 1e9), status=status, error=error)


WHOLE = ProxySaturation(
    limit=20, limited_by="the process's", held=20, most=20, visits=(visit(1.2), visit(1.3))
)
SERVERS = ServerSaturation(
    api="rest",
    limits={"a": 5, "b": 5},
    wanted_limit=5,
    at_once=30,
    most={"a": 5, "b": 5},
    queued=12,
    visits=(visit(0.1), visit(0.7)),
)


def judged(
    whole: ProxySaturation = WHOLE, servers: ServerSaturation = SERVERS, queue_s: float | None = 60.0
) -> Judgement:
    """The judgement on the proxy and one API."""
    return nothing_is_dropped(MaxconnSaturation(whole=whole, servers=(servers,), timeout_queue_s=queue_s))


def test_all_that_waited_and_were_served_pass() -> None:
    """Beyond both limits all waited and were served."""
    judgement = judged()
    assert judgement.outcome is Outcome.PASS
    assert judgement.figures["rest_most_queued"] == 12
    assert judgement.figures["longest_wait_s"] == 1.3
    assert judgement.figures["requests"] == 4
    assert judgement.figures["missed_rate_95"] == 0.527129  # 1 − 0.05^(1/4)


def test_proxies_that_share_a_front_are_not_judged() -> None:
    """None of them can be filled alone; the reason names them."""
    shared = MaxconnSaturation(
        whole=WHOLE, servers=(), timeout_queue_s=None, shared_by=("unix:///a", "unix:///b")
    )
    judgement = nothing_is_dropped(shared)
    assert judgement.outcome is Outcome.NOT_RUN
    assert judgement.why.startswith("unix:///a, unix:///b share the connections of one front")


def test_servers_without_limits_pass_and_the_verdict_says_so() -> None:
    """If no server has a maxconn, HAProxy's queue is never used."""
    judgement = judged(servers=ServerSaturation(api="rest", limits={}, wanted_limit=None))
    assert judgement.outcome is Outcome.PASS
    assert "queue is never used" in judgement.why


def test_a_described_maxconn_that_the_proxy_lacks_fails() -> None:
    """A described limit that the proxy lacks holds no connection back."""
    bare = ServerSaturation(
        api="rest", limits={"a": 5}, unlimited=("b",), wanted_limit=5, queued=1, at_once=30
    )
    judgement = judged(servers=bare)
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == ("b: no maxconn in the proxy, 5 is described",)
    assert judged(servers=bare.model_copy(update={"wanted_limit": None})).outcome is Outcome.PASS


def test_drop_beyond_the_whole_maxconn_fails() -> None:
    """A connection that was dropped while the proxy was full is the counter-example."""
    judgement = judged(whole=WHOLE.model_copy(update={"visits": (visit(0.5, 0),)}))
    assert judgement.outcome is Outcome.FAIL
    assert judgement.counter_examples == (
        "1: dropped after 0.50 s beyond maxconn 20 (closed without an answer)",
    )


def test_drop_before_the_described_timeout_queue_fails() -> None:
    """A visit that left the queue before `timeout queue` was dropped too early, in both modes."""
    for status in (0, 503):
        judgement = judged(servers=SERVERS.model_copy(update={"visits": (visit(0.1, status),)}))
        assert judgement.outcome is Outcome.FAIL
        assert "dropped after 0.10 s" in judgement.counter_examples[0]


def test_drop_at_timeout_queue_is_as_described() -> None:
    """Leaving the queue at its timeout is what is described."""
    late = SERVERS.model_copy(update={"visits": (visit(1.01, 503),)})
    assert judged(servers=late, queue_s=1.0).outcome is Outcome.PASS


def test_more_sessions_than_a_servers_maxconn_fail() -> None:
    """A server with more sessions than its maxconn was not held back."""
    over = SERVERS.model_copy(update={"most": {"a": 6, "b": 5}})
    assert judged(servers=over).counter_examples == ("a had 6 sessions, but its maxconn is 5",)


def test_other_maxconn_than_described_fails() -> None:
    """A server's maxconn that is not the described one is the counter-example."""
    assert judged(servers=SERVERS.model_copy(update={"wanted_limit": 50})).outcome is Outcome.FAIL


def test_proxy_that_was_not_full_is_inconclusive() -> None:
    """Below the limit nothing is held back."""
    for change in (
        {"most": 19},
        {"impossible": "4000 connections would fill the proxy, --connections allows 100"},
        {"answered_early": 1},
        {"visits": ()},
    ):
        assert judged(whole=WHOLE.model_copy(update=change)).outcome is Outcome.INCONCLUSIVE


def test_empty_queue_is_inconclusive() -> None:
    """If servers were never full, their queue was not observed."""
    assert judged(servers=SERVERS.model_copy(update={"queued": 0})).outcome is Outcome.INCONCLUSIVE


def test_undescribed_timeout_queue_is_inconclusive_where_visits_were_dropped() -> None:
    """Without a described `timeout queue` a drop cannot be judged."""
    dropped = SERVERS.model_copy(update={"visits": (visit(0.1, 503),)})
    assert judged(servers=dropped, queue_s=None).outcome is Outcome.INCONCLUSIVE
