"""Gates E: the engines and their queue."""

from __future__ import annotations

from functools import partial

from calorimeter.core.deployment import Consent
from calorimeter.gates.context import Context
from calorimeter.gates.engines import engine_faults, freeze, service_return, stop
from calorimeter.gates.engines.backlog import backlog_drains
from calorimeter.gates.engines.concurrent_calls import make_concurrent_calls
from calorimeter.gates.engines.consumers import as_described
from calorimeter.gates.engines.equal_shares import equal_shares
from calorimeter.gates.engines.queue_consumers import read_roster
from calorimeter.gates.engines.rotation import exact_rotation
from calorimeter.gates.engines.rotation_calls import make_rotation_calls
from calorimeter.gates.engines.stack_burst import stack_burst, worker_shares
from calorimeter.gates.judge import Judge
from calorimeter.gates.registry import Break, gate

ENGINE = ("engine",)
SUBSCRIBES = "each engine will subscribe to the same AMQP engine queue"
ROUND_ROBIN = "pick up work in round-robin fashion with the other engines"
TRACE = ("rest", "identity", "broker management", "broker trace")

traced_gate = partial(gate, needs=TRACE, consent=Consent.INVASIVE)
fault_gate = partial(gate, guide=ROUND_ROBIN, needs=(*TRACE, "fault commands"), consent=Consent.INVASIVE)


@gate("E1", guide=SUBSCRIBES, needs=("rest", "identity", "broker management"))
def test_engines_consume_as_described(context: Context, judge: Judge) -> None:
    """The engines' queues have the described consumers, and no others.

    Every worker of every engine has one consumer on `engine` and one on `engine_worker`. Any other consumer
    there takes calls away from the engines. Heat's service table must agree.
    """
    judge(read_roster(context), as_described)


@traced_gate("E2", guide=f"{SUBSCRIBES} and {ROUND_ROBIN}")
def test_engines_take_calls_in_exact_rotation(context: Context, judge: Judge) -> None:
    """Engines take calls in exact rotation.

    Calls are made one at a time, so that the order of the broker's trace is the order of dispatch.
    Every delivery must go to the consumer whose turn it is.
    """
    judge(make_rotation_calls(context), exact_rotation)


@traced_gate("E3", guide=ROUND_ROBIN)
def test_engines_have_equal_shares_of_stack_work(context: Context, judge: Judge) -> None:
    """Engines have equal shares of the work on stacks.

    Creating and deleting a stack fans out to `engine_worker`. Between two quiet points no consumer may be
    more than one delivery ahead.
    """
    judge(worker_shares(context), equal_shares)


@traced_gate("E4", guide=ROUND_ROBIN)
def test_engines_have_equal_shares_of_calls_under_load(context: Context, judge: Judge) -> None:
    """Engines have equal shares of calls under load.

    Many calls are in flight. Between two quiet points no consumer may be more than one delivery ahead.
    """
    judge(make_concurrent_calls(context), equal_shares)


@fault_gate("E5", breaks=(Break("stop", "last", ENGINE),))
def test_engine_that_joins_gets_its_share(context: Context, judge: Judge) -> None:
    """An engine that joins gets its share; how soon is measured.

    One engine is stopped cleanly and started again under load.
    """
    judge(engine_faults.restart_engine(context), stop.joining_engine_gets_its_share)


@fault_gate("E6", breaks=(Break("kill", "last", ENGINE),))
def test_crash_of_an_engine_costs_only_what_it_held(context: Context, judge: Judge) -> None:
    """When an engine crashes, the others continue.

    Heat acknowledges on receipt, so calls that the crashed engine had accepted are lost. They are counted
    by request.
    """
    judge(engine_faults.crash_engine(context), stop.crash_is_survived)


@fault_gate("E7", breaks=(Break("freeze", "last", ENGINE),))
def test_frozen_engine_costs_only_its_share(context: Context, judge: Judge) -> None:
    """A frozen engine costs no more than its own share of the calls.

    The broker goes on delivering calls to it; the time until the broker notices is a figure.
    """
    judge(engine_faults.freeze_engine(context), freeze.freeze_costs_its_share)


@fault_gate("E8", breaks=(Break("kill", "every", ENGINE),))
def test_without_engines_errors_are_clear_and_service_returns(context: Context, judge: Judge) -> None:
    """Without engines, calls get clear errors in time; service returns with the engines."""
    judge(engine_faults.kill_all_engines(context), service_return.errors_are_clear_and_service_returns)


@fault_gate("E9", breaks=(Break("stop", "last", ENGINE),))
def test_clean_stop_of_an_engine_loses_nothing(context: Context, judge: Judge) -> None:
    """A clean stop of an engine loses nothing: no call, no stack."""
    judge(engine_faults.restart_engine(context), stop.clean_stop_loses_nothing)


@traced_gate("E10", guide=SUBSCRIBES)
def test_backlog_of_a_burst_drains(context: Context, judge: Judge) -> None:
    """The backlog of a burst drains; how fast is measured.

    Many stacks are created at once. Every stack must be final within its own timeout.
    """
    judge(stack_burst(context), backlog_drains)
