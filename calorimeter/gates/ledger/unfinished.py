"""What an engine had in hand when it crashed, from the trace of its messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.evidence.rpc_message import Delivery


def unfinished(
    events: Sequence[Delivery],
    consumers: Collection[str],
    connections: Collection[str],
    leaves: int,
    gone: int | None = None,
) -> tuple[str, ...]:
    """The requests of which an engine had a message that it had not finished, sorted.

    `consumers` are the engine's (`connection#channel`), `connections` all of its own, to publish by too.
    It publishes nothing from event number `gone` on (None: to the end): that is who was started in its
    place, in a container with the same process id.
    With acknowledgement on receipt the broker does not tell when a message is finished; what the engine
    publishes does. A call is open until it is answered. A create is answered before its stack is
    converged: it is open until it has handed out the `leaves` of the stack, the resources that wait for no
    other. A resource is open until the next of its chain is handed on, one for one.

    Where that cannot be told a message counts as unfinished: the last of a chain hands on nothing, and
    what goes by a connection that nobody knows yet is not seen to be the engine's.
    """
    had = [e for e in events if e.kind == "deliver" and f"{e.connection}#{e.channel}" in consumers]
    answered = {e.msg_id for e in events if e.kind == "publish" and e.reply}
    open_: Counter[str | None] = Counter(e.request_id for e in had if e.queue == WORKER)
    for event in had:
        if event.queue == ENGINE and event.method == "create_stack":
            open_[event.request_id] += leaves
    open_.subtract(
        e.request_id
        for e in events
        if e.kind == "publish"
        and WORKER in e.routed
        and e.connection in connections
        and (gone is None or e.seq < gone)
    )
    waiting = {e.request_id for e in had if e.queue == ENGINE and e.msg_id and e.msg_id not in answered}
    return tuple(sorted(r for r in {*waiting, *(+open_)} if r))
