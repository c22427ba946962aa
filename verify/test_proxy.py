"""Gates P: the proxy."""

from __future__ import annotations

from calorimeter.core.deployment import Consent
from calorimeter.gates.affinity.failover_trial import failovers
from calorimeter.gates.context import Context
from calorimeter.gates.judge import Judge
from calorimeter.gates.proxy.front import answers_at_the_front
from calorimeter.gates.proxy.front_requests import front
from calorimeter.gates.proxy.keepalive import keepalive_is_set
from calorimeter.gates.proxy.keepalive_sockets import kept_alive
from calorimeter.gates.proxy.maxconn import nothing_is_dropped
from calorimeter.gates.proxy.maxconn_saturation import saturation
from calorimeter.gates.proxy.openstack_client import client_works
from calorimeter.gates.proxy.openstack_client_calls import client_calls
from calorimeter.gates.proxy.retries import retries_as_measured
from calorimeter.gates.proxy.timeout_waits import quiet_waits, timeouts
from calorimeter.gates.proxy.timeouts import timeouts_as_described
from calorimeter.gates.registry import Beside, Break, gate

FINDS_THE_PROXY = "when it makes a call to any API, it will find the proxy, acting on their behalf"
NO_UPDATE = "there is no need to update, on the CLI, the addresses where it should look for the APIs"


@gate("P1", guide=FINDS_THE_PROXY, needs=())
def test_rest_answers_at_the_front(context: Context, judge: Judge) -> None:
    """The REST API answers at the address that clients know.

    `GET /` at the front address gives Heat's version document, through the proxy.
    """
    judge(front(context, "rest"), answers_at_the_front, name="front-rest")


@gate("P2", guide=FINDS_THE_PROXY, needs=())
def test_cfn_answers_at_the_front(context: Context, judge: Judge) -> None:
    """The CFN API answers at the address that clients know.

    The same as P1, for the CFN API.
    """
    judge(front(context, "cfn"), answers_at_the_front, name="front-cfn")


@gate("P3", guide=NO_UPDATE, needs=("rest", "identity"), consent=Consent.LOAD)
def test_openstack_client_works(context: Context, judge: Judge) -> None:
    """The unmodified openstack client works through the proxy.

    It lists, creates, shows and deletes a stack with one resource that needs no service but Heat.
    """
    judge(client_calls(context), client_works, name="client")


@gate("P4", guide="maxconn 4000", needs=("rest", "cfn", "proxy stats"), consent=Consent.LOAD)
def test_maxconn_holds_back_and_does_not_drop(context: Context, judge: Judge) -> None:
    """Connections beyond a maxconn wait, and none is dropped.

    The proxy is filled up to its own maxconn, beyond which connections wait in the kernel's backlog, and
    its servers up to theirs, beyond which they wait in HAProxy's queue for at most `timeout queue`.
    """
    judge(saturation(context), nothing_is_dropped, name="saturation")


@gate(
    "P5",
    guide="timeout  client 1m",
    needs=("rest", "cfn", "proxy stats", "proxy log"),
    may_break=(Break("unreachable", "last"), Break("freeze", "last")),
    # Engines have no part in these waits, and connections that send nothing reach no engine.
    beside=Beside(quiet_waits, ("E5", "E6", "E7", "E8", "E9")),
)
def test_timeouts_are_as_described(context: Context, judge: Judge) -> None:
    """The proxy's timeouts fire when they should.

    Measured with a client that sends nothing, a server that does not answer and, if faults are allowed, a
    server whose packets are dropped. If several timeouts run at the same time, the shortest is proven and
    the others are named.
    """
    judge(timeouts(context), timeouts_as_described, name="timeouts")


@gate("P6", guide="option  tcpka", needs=("rest", "cfn", "fault commands"))
def test_tcp_keepalive_is_set_on_both_sides(context: Context, judge: Judge) -> None:
    """TCP keep-alive is really set, to clients and to servers.

    Connections are held open through the proxy; the socket table of its host shows their timers.
    """
    judge(kept_alive(context), keepalive_is_set, name="keepalive")


@gate(
    "P7",
    guide="option  redispatch",
    needs=("rest", "cfn", "proxy stats", "proxy log", "fault commands"),
    consent=Consent.INVASIVE,
    breaks=(Break("kill", "last"),),
)
def test_retries_and_redispatch_as_measured(context: Context, judge: Judge) -> None:
    """What retries and redispatch do while a backend is dead and not yet DOWN, as a measured fact.

    Sources of the killed backend and of others visit from the kill until the proxy has detected it.
    """
    judge(failovers(context), retries_as_measured, name="failovers")
