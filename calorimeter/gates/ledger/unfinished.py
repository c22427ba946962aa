"""What an engine had not finished when it crashed, from the trace of its messages."""

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
    """The sorted ids of the requests of which an engine had a message that it had not finished.

    `consumers` are the engine's (`connection#channel`), `connections` all of its connections, those that it
    publishes by too. From event number `gone` on (None: never) publishes by these do not count: they come
    from the engine started in its place, which has the same process id if it runs in a container.

    Heat acknowledges a message on receipt, so the broker does not show when it is finished; what the engine
    publishes does. A call is open until it is answered. A create is answered before its stack is
    converged: it is open until it has published the `leaves` of the stack, the resources that depend on no
    other. A resource is open until the next of its chain is published, one for one.

    An ambiguous message counts as unfinished: after the last resource of a chain nothing is published, and
    a publish by an unknown connection cannot be attributed to the engine.
    """
    delivered = [e for e in events if e.kind == "deliver" and f"{e.connection}#{e.channel}" in consumers]
    answered = {e.msg_id for e in events if e.kind == "publish" and e.reply}
    open_: Counter[str | None] = Counter(e.request_id for e in delivered if e.queue == WORKER)
    for event in delivered:
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
    calls = {e.request_id for e in delivered if e.queue == ENGINE and e.msg_id and e.msg_id not in answered}
    return tuple(sorted(r for r in {*calls, *(+open_)} if r))
