"""The way of a stack along the messages of its convergence."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calorimeter.gates.evidence.broker_records import BrokerProcess
from calorimeter.gates.request_path.path import RpcLeg
from calorimeter.gates.request_path.stack_hops import EndedStack, stack_way

ONE = BrokerProcess(role="heat-engine", pid=21, host="10.0.0.3")
TWO = BrokerProcess(role="heat-engine", pid=22, host="10.0.0.4")
HOSTS = {str(ONE): "engine-1", str(TWO): "engine-2"}

MS = 1_000_000
T0 = 1_700_000_000_000 * MS
STACK = EndedStack("rest create", "req-1", T0, T0 + 1000 * MS)


def message(
    resource: str,
    published: float | None,
    delivered: float | None,
    publisher: BrokerProcess | None,
    consumer: BrokerProcess | None,
    queue: str = "engine_worker",
    unique_id: str = "",
) -> RpcLeg:
    """A message of convergence; its times are ms after the acceptance."""
    times = [None if at is None else T0 + int(at * MS) for at in (published, delivered)]
    return RpcLeg(
        method="check_resource", queue=queue, unique_id=unique_id or resource, published_ns=times[0],
        publisher=publisher, delivered_ns=times[1], consumer=consumer, consumer_connection="c",
        redelivered=False, replied_ns=None, failure=False, stack_name=None, resource_id=resource,
    )  # fmt: skip


def test_a_chain_of_three_messages() -> None:
    """As a lab recorded it: an engine publishes the next message when it is done with one."""
    legs = (
        message("7", 190, 192, ONE, TWO),
        message("6", 520, 525, TWO, ONE),
        message("8", 800, 801, ONE, TWO),
        message("", 5, 6, ONE, ONE, queue="engine"),
    )
    found = stack_way(STACK, legs, HOSTS)
    assert found is not None
    assert found.segments_ns == {
        "start": 190 * MS,
        "broker": 8 * MS,
        "engine": (328 + 275) * MS,
        "between": 0,
        "end": 199 * MS,
    }
    assert found.engines_ns == {"engine-2": 328 * MS, "engine-1": 275 * MS}
    assert (found.messages, found.hops, found.waits_ns, found.adds_up) == (3, 3, 0, True)


def test_a_branch_that_waits_at_a_sync_point_is_beside_the_chain() -> None:
    """Two branches join: the one that ended last led to the join, the other one waited for it."""
    legs = (
        message("a", 100, 101, ONE, ONE),
        message("b", 100, 102, ONE, TWO),
        message("join", 700, 702, TWO, ONE),
    )
    found = stack_way(STACK, legs, HOSTS)
    assert found is not None
    assert (found.messages, found.hops) == (3, 2)
    assert found.segments_ns["engine"] == 598 * MS and found.engines_ns == {"engine-2": 598 * MS}
    assert found.waits_ns == 599 * MS


def test_work_before_the_acceptance_takes_none_of_the_time() -> None:
    """The engine begins before the API has answered."""
    legs = (message("a", -50, -49, ONE, TWO), message("b", 300, 301, TWO, ONE))
    found = stack_way(STACK, legs, HOSTS)
    assert found is not None
    assert found.segments_ns == {
        "start": 0, "broker": 1 * MS, "engine": 300 * MS, "between": 0, "end": 699 * MS,
    }  # fmt: skip


def test_an_unknown_publisher_leaves_time_between_messages() -> None:
    """Nobody is said to have had the stack."""
    legs = (message("a", 100, 101, ONE, TWO), message("b", 300, 301, None, ONE))
    found = stack_way(STACK, legs, HOSTS)
    assert found is not None and found.segments_ns["between"] == 199 * MS


def test_messages_that_were_not_seen_whole_do_not_count() -> None:
    """Without one that was, there is no way; a later delivery of a lost message counts."""
    assert (
        stack_way(STACK, (message("a", 100, None, ONE, None), message("b", None, 5, ONE, TWO)), HOSTS)
        is None
    )
    again = (
        message("a", 100, 101, ONE, ONE),
        message("a", 100, 400, ONE, TWO),
        message("z", 2000, 2001, ONE, ONE),
    )
    found = stack_way(STACK, again, HOSTS)
    assert found is not None and (found.messages, found.segments_ns["broker"]) == (1, 300 * MS)


MOMENT = st.integers(-100, 1500)
PROCESS = st.sampled_from([ONE, TWO, None])


@given(
    st.lists(st.tuples(MOMENT, MOMENT, PROCESS, PROCESS), min_size=1, max_size=10), st.integers(-10, 1200)
)
def test_the_segments_of_any_stack_add_up(
    times: list[tuple[int, int, BrokerProcess | None, BrokerProcess | None]], final: int
) -> None:
    """Any messages, in any order: no segment is negative, and their sum is the time of the stack."""
    stack = STACK._replace(final_ns=T0 + final * MS)
    legs = [message(str(n), *each) for n, each in enumerate(times)]
    found = stack_way(stack, legs, HOSTS)
    if found is None:
        return
    assert sum(found.segments_ns.values()) == found.took_ns == max(0, final) * MS
    assert all(took >= 0 for took in found.segments_ns.values())
    assert sum(found.engines_ns.values()) == found.segments_ns["engine"]
    assert found.hops <= found.messages <= len(times) and found.waits_ns >= 0
