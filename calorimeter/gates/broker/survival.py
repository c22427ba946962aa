"""Whether calls and stacks survive the loss and the return of nodes of RabbitMQ (B1 to B5)."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.verdict import Judgement, Outcome, failed, inconclusive, not_run, passed
from calorimeter.gates.broker.broker_trial import FEWEST_CALLS, FEWEST_STACKS, BrokerTrial
from calorimeter.gates.clients.stack_records import unheard
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.rotation import exact_rotation

DONE = {"kill": "killed", "stop": "stopped", "freeze": "frozen", "partitioned": "cut from the others"}
"""Fault → what happened to the node, for a sentence."""


def service_survives(evidence: BrokerTrial) -> Judgement:
    """B1 to B5: whether failed calls keep to the bounds, no stack is lost, and rotation is restored.

    After a node's fault the others serve within the time that the heartbeats, net_ticktime and Heat's
    reconnection take (`core.messaging_bounds`); while all nodes are gone nobody can. A call that is sent
    later must succeed. Every accepted stack must be final within its own timeout, and the engines must
    consume and take turns as before.
    """
    if evidence.does_not_apply:
        return not_run(evidence.does_not_apply, nodes=len(evidence.nodes))
    figures = evidence.figures()
    if problem := _not_blamable(evidence):
        return inconclusive(problem, **figures)
    rotation = exact_rotation(evidence.rotation) if evidence.rotation else None
    wrong = [*_late(evidence), *_unaccounted(evidence), *_not_restored(evidence)]
    if rotation is not None and rotation.outcome is Outcome.FAIL:
        wrong.append(f"after that {rotation.why}")
    if wrong:
        calls = [str(call) for call in evidence.unexcused()]
        return failed(f"{_story(evidence)}, {wrong[0]}", [*wrong[1:], *calls], **figures)
    if problem := next(_gaps(evidence), None):
        return inconclusive(problem, **figures)
    if rotation is None or rotation.outcome is not Outcome.PASS:
        why = rotation.why if rotation else evidence.no_rotation
        return inconclusive(f"whether rotation was restored is not known: {why}", **figures)
    return passed(
        f"{_story(evidence)}, {figures['failed_calls']} of {len(evidence.calls)} calls failed, "
        f"{_last(evidence)}; {figures['stacks_accepted']} stacks were accepted{unheard(evidence.stacks)}: "
        f"{figures['stacks_complete']} complete, {figures['stacks_failed']} failed, none lost; after that "
        f"calls rotated over {evidence.returned} consumers",
        **figures,
    )


def _story(evidence: BrokerTrial) -> str:
    names = ", ".join(dict.fromkeys(fault.part for fault in evidence.faults))
    done = DONE[evidence.fault]
    if len(evidence.faults) == 1:
        return f"{names} was {done} and returned"
    if evidence.total:
        return f"all nodes ({names}) were {done} and returned"
    return f"each node in turn ({names}) was {done} and returned"


def _last(evidence: BrokerTrial) -> str:
    figures = evidence.figures()
    since = "the return" if evidence.total else "a fault"
    if not figures["failed_calls"]:
        return f"{figures['bound_s']} s after {since} are allowed"
    return f"the last one sent {figures['outage_s']} s after {since}, {figures['bound_s']} s are allowed"


def _not_blamable(evidence: BrokerTrial) -> str | None:
    """Why failures cannot be blamed on the fault: it may not have happened, or calls failed before it."""
    unseen = [fault.part for fault in evidence.faults if not fault.noticed_ns]
    if unseen:
        return (
            f"nothing shows that {evidence.fault!r} of {', '.join(unseen)} had an effect: the node went on "
            "answering, and the others counted it as running"
        )
    first_ns = min(fault.begun_ns for fault in evidence.faults)
    before = [call for call in evidence.calls if call.done_ns < first_ns]
    if bad := [call for call in before if not call.ok]:
        return f"{len(bad)} of {len(before)} calls failed before the fault: {bad[0]}"
    return None


def _late(evidence: BrokerTrial) -> Iterator[str]:
    """What is wrong with calls that were sent after the time that the bounds allow."""
    bad, judged = evidence.unexcused(), evidence.judged()
    if not bad:
        return
    if evidence.total:
        allowed = f"later than {evidence.return_bound_s:g} s after the nodes were back"
    else:
        allowed = f"later than {evidence.outage_bound_s:g} s after the fault"
    yield (
        f"{len(bad)} of {len(judged)} calls failed that were sent {allowed}, within which Heat must have "
        f"connected to a node that serves{_home(evidence, ENGINE)}: {bad[0]}"
    )


def _home(evidence: BrokerTrial, queue: str) -> str:
    """That a classic queue died with its node; empty if it did not."""
    home = evidence.lost_home(queue)
    if home is None or evidence.total:
        return ""
    found = next(each for each in evidence.queues if each.name == queue)
    during = found.during or "not there"
    return f" (the classic queue {queue} has one home, {home}, and died with it: meanwhile it was {during})"


def _unaccounted(evidence: BrokerTrial) -> Iterator[str]:
    """The stacks that Heat took on and that did not end."""
    for record in evidence.stacks:
        if record.taken and not record.final:
            state = record.outcome or "not listed"
            yield f"{record} is {state} after {evidence.waited_s:g} s{_home(evidence, WORKER)}"


def _not_restored(evidence: BrokerTrial) -> Iterator[str]:
    if evidence.apart:
        yield f"{', '.join(evidence.apart)} did not return into one cluster with the other nodes"
    if evidence.returned < evidence.consumers:
        yield f"{evidence.returned} of {evidence.consumers} consumers of {ENGINE} returned with the nodes"


def _gaps(evidence: BrokerTrial) -> Iterator[str]:
    """Why too little was seen."""
    proving = evidence.proving()
    if len(proving) < FEWEST_CALLS:
        yield (
            f"{len(proving)} calls were sent after the time that the bounds allow, at least {FEWEST_CALLS} "
            "are needed"
        )
    accepted = sum(record.accepted for record in evidence.stacks)
    if accepted < FEWEST_STACKS:
        yield f"{accepted} stacks were accepted, at least {FEWEST_STACKS} are needed"
