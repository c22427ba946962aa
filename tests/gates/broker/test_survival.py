"""B1 to B5: literal trials in, verdicts and figures out."""

from __future__ import annotations

from collections.abc import Iterable

from calorimeter.core.verdict import Outcome
from calorimeter.gates.broker.broker_trial import BrokerTrial, EngineQueue, NodeFault
from calorimeter.gates.broker.survival import service_survives
from calorimeter.gates.clients.calls import HeatCall
from tests.gates.broker.broker_trials import NODES, at, call, calls, fault, rotation, stack, trial


def failing(*sent_s: float, took_s: float = 0.5, of: Iterable[HeatCall] = ()) -> tuple[HeatCall, ...]:
    """Good calls, and a failed one at each of these times."""
    return (*(of or calls()), *(call(second, took_s, 504) for second in sent_s))


def classic(during: str | None) -> tuple[EngineQueue, ...]:
    """Classic queues whose home died."""
    return tuple(
        EngineQueue(name=name, type="classic", home="rabbit@a", during=during)
        for name in ("engine", "engine_worker")
    )


def test_a_death_that_nobody_notices_passes() -> None:
    """No call failed."""
    found = service_survives(trial())
    assert found.outcome is Outcome.PASS
    assert found.why == (
        "a was killed and returned, 0 of 45 calls failed, 2.0 s after a fault are allowed; 6 stacks were "
        "accepted: 6 complete, 0 failed, none lost; after that calls rotated over 2 consumers"
    )
    assert (found.figures["outage_s"], found.figures["bound_s"]) == (0.0, 2.0)


def test_calls_may_fail_until_the_bound_and_while_the_node_returns() -> None:
    """Those in flight at the fault, those sent within the bound, and those sent at the return."""
    evidence = trial(calls=failing(-0.3, 1.9, 19.5, 21.9, took_s=30))
    found = service_survives(evidence)
    assert found.outcome is Outcome.PASS
    assert found.figures["failed_calls"] == 4
    assert found.figures["outage_s"] == 1.9
    assert found.figures["longest_failed_s"] == 30
    assert "the last one sent 1.9 s after a fault, 2.0 s are allowed" in found.why


def test_a_call_sent_after_the_bound_must_succeed() -> None:
    """It is the counter-example, and the verdict says how long service was away."""
    found = service_survives(trial(calls=failing(1.0, 2.5, 9.0)))
    assert found.outcome is Outcome.FAIL
    assert "2 of 35 calls failed that were sent later than 2 s after the fault" in found.why
    assert found.figures["outage_s"] == 9.0
    assert [each.split(":")[0] for each in found.counter_examples] == ["list req-2.5", "list req-9.0"]


def test_a_call_that_hangs_until_the_node_returns_is_one_too_many() -> None:
    """As behind a durable classic queue: sent after the bound, it fails long after the return began."""
    hanging = trial(calls=failing(*range(3, 15), took_s=20))
    found = service_survives(hanging)
    assert found.outcome is Outcome.FAIL
    assert found.why.startswith(
        "a was killed and returned, 12 of 45 calls failed that were sent later than 2 s"
    )
    in_flight = trial(calls=(*calls(), call(-2.0, 0.5), call(18.6, 20, 504)))
    assert service_survives(in_flight).outcome is Outcome.PASS


def test_a_classic_queue_that_died_with_its_home_is_named() -> None:
    """Red for the right reason."""
    found = service_survives(trial(queues=classic("down"), calls=failing(5.0, 15.0)))
    assert found.outcome is Outcome.FAIL
    assert (
        "(the classic queue engine has one home, rabbit@a, and died with it: meanwhile it was down)"
        in found.why
    )
    gone = service_survives(trial(queues=classic(""), stacks=[stack(1, "CREATE_IN_PROGRESS")]))
    assert "stack-1 (req-1) is CREATE_IN_PROGRESS" in gone.why
    assert (
        "(the classic queue engine_worker has one home, rabbit@a, and died with it: meanwhile it was not"
        in (gone.why)
    )


def test_a_stack_that_does_not_end_is_unaccounted_for() -> None:
    """Heat accepted it; so is one that was accepted and never listed."""
    found = service_survives(trial(stacks=[stack(1, "CREATE_IN_PROGRESS"), stack(2, "")], waited_s=120))
    assert found.outcome is Outcome.FAIL
    assert "stack-1 (req-1) is CREATE_IN_PROGRESS after 120 s" in found.why
    assert found.counter_examples == ("stack-2 (req-2) is not listed after 120 s",)


def test_a_failed_stack_is_accounted_for() -> None:
    """Its owner knows of it; the figures count it."""
    stacks = [*(stack(number) for number in range(5)), stack(9, "CREATE_FAILED")]
    found = service_survives(trial(stacks=stacks))
    assert found.outcome is Outcome.PASS
    assert found.figures["stacks_failed"] == 1


def test_what_is_not_restored_fails() -> None:
    """Consumers, rotation, and the cluster itself."""
    assert "1 of 2 consumers of engine returned" in service_survives(trial(returned=1)).why
    turned = service_survives(trial(rotation=rotation("12" * 10 + "11" + "12" * 9)))
    assert turned.outcome is Outcome.FAIL
    assert "the engine queue did not rotate over its 2 consumers" in turned.why
    apart = service_survives(trial(apart=("rabbit@a",)))
    assert apart.outcome is Outcome.FAIL and "rabbit@a did not return into one cluster" in apart.why


def test_a_restart_of_each_node_has_a_bound_of_its_own() -> None:
    """B4: a call that fails between two restarts is one too many."""
    turns = [fault(name, begun_s=20 * n, healed_s=20 * n + 10) for n, name in enumerate("abc")]
    stream = calls(-5, 70)
    good = trial(fault="stop", faults=turns, calls=failing(1.0, 21.0, 41.0, of=stream))
    found = service_survives(good)
    assert found.outcome is Outcome.PASS
    assert found.why.startswith("each node in turn (a, b, c) was stopped and returned, 3 of 78 calls")
    late = service_survives(trial(fault="stop", faults=turns, calls=failing(15.0, of=stream)))
    assert late.outcome is Outcome.FAIL


def all_dead() -> BrokerTrial:
    """B5: all nodes are gone for 20 s, and calls fail until 10 s after their return."""
    stream = [
        *(call(second) for second in range(-5, 0)),
        *(call(second, 30, 0) for second in range(31)),
        *(call(second) for second in range(31, 70)),
    ]
    faults = [fault(name) for name in "abc"]
    return trial(faults=faults, calls=tuple(stream), return_bound_s=33.0)


def test_while_all_nodes_are_gone_nobody_can_serve() -> None:
    """From their return on the bound counts."""
    found = service_survives(all_dead())
    assert found.outcome is Outcome.PASS
    assert found.why.startswith("all nodes (a, b, c) were killed and returned, 31 of 75 calls failed, ")
    assert (found.figures["outage_s"], found.figures["bound_s"]) == (10.0, 33.0)
    late = all_dead().model_copy(update={"return_bound_s": 5.0})
    found = service_survives(late)
    assert found.outcome is Outcome.FAIL
    assert "sent later than 5 s after the nodes were back" in found.why


def test_a_trial_may_end_when_service_was_seen_to_be_back() -> None:
    """Ten calls that were answered well prove it before the bound is over; a failure until then is none."""
    stream = [*(call(second) for second in range(-5, 0)), call(3, 20, 0), call(22, 5, 0)]
    back = [call(25 + n) for n in range(10)]
    served = fault(served_ns=at(25))

    def found(calls: list[HeatCall], of: NodeFault = served) -> Outcome:
        ended = trial(fault="stop", nodes=NODES[:1], faults=(of,), calls=tuple(calls), return_bound_s=40.0)
        return service_survives(ended).outcome

    assert found([*stream, *back]) is Outcome.PASS
    assert found([*stream, *back[:9]]) is Outcome.INCONCLUSIVE
    assert found([*stream, *back], of=fault()) is Outcome.INCONCLUSIVE
    after = [call(61 + n) for n in range(9)]
    assert found([*stream, *after], of=fault(served_ns=at(61))) is Outcome.INCONCLUSIVE
    assert found([*stream, *back[:9], call(34, 1, 0)]) is Outcome.INCONCLUSIVE
    assert found([*stream, *back, call(61, 1, 0)]) is Outcome.FAIL


def test_a_single_node_that_is_restarted_is_an_outage() -> None:
    """B4 with one broker."""
    one = all_dead().model_copy(update={"nodes": NODES[:1], "faults": (fault(),), "fault": "stop"})
    assert one.total
    assert service_survives(one).outcome is Outcome.PASS


def test_what_proves_nothing_is_inconclusive() -> None:
    """No effect, failures before, too few calls or stacks, no rotation to be seen."""
    unseen = service_survives(trial(faults=(fault(noticed_ns=0),), calls=failing(9.0)))
    assert unseen.outcome is Outcome.INCONCLUSIVE
    assert "nothing shows that 'kill' of a had an effect" in unseen.why
    before = service_survives(trial(calls=failing(-3.0, 9.0)))
    assert before.outcome is Outcome.INCONCLUSIVE
    assert "1 of 6 calls failed before the fault" in before.why
    few = service_survives(trial(calls=tuple(calls(-5, 10))))
    assert few.outcome is Outcome.INCONCLUSIVE and "7 calls were sent after" in few.why
    empty = service_survives(trial(stacks=()))
    assert empty.outcome is Outcome.INCONCLUSIVE and "0 stacks were accepted" in empty.why
    blind = service_survives(trial(rotation=None, no_rotation="tracing is not on at rabbit@b"))
    assert blind.outcome is Outcome.INCONCLUSIVE
    assert blind.why == "whether rotation was restored is not known: tracing is not on at rabbit@b"


def test_what_cannot_be_is_not_run() -> None:
    """A partition of one node."""
    found = service_survives(BrokerTrial(fault="partitioned", nodes=NODES[:1], does_not_apply="one node"))
    assert (found.outcome, found.why) == (Outcome.NOT_RUN, "one node")


def test_times_of_commands_are_a_window() -> None:
    """Without `at_ns` a fault took effect at the latest when its command ended."""
    slow = fault(struck_ns=at(3))
    assert service_survives(trial(faults=(slow,), calls=failing(4.9))).outcome is Outcome.PASS
    assert service_survives(trial(faults=(slow,), calls=failing(5.1))).outcome is Outcome.FAIL


def test_stacks_whose_create_got_no_answer_are_counted_apart() -> None:
    """As in L3: else more stacks would be complete than were accepted."""
    made = trial()
    late = made.stacks[0].model_copy(update={"create": call(1, status=504)})
    judged = service_survives(made.model_copy(update={"stacks": (*made.stacks, late)}))
    assert judged.outcome is Outcome.PASS
    assert " and 1 more were created although their clients got no answer: " in judged.why
