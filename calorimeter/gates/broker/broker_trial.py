"""Calls and stacks while nodes of RabbitMQ fail and return: the evidence of B1 to B5."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.core.toml import Model
from calorimeter.core.verdict import Figure
from calorimeter.gates.clients.calls import HeatCall
from calorimeter.gates.clients.stack_records import StackRecord
from calorimeter.gates.engines.rotation import Rotation

FEWEST_CALLS = 10
FEWEST_STACKS = 5


class NodeFault(Model):
    """One fault of one node; times are ns since the epoch.

    The fault took effect between `begun_ns` and `struck_ns`. `noticed_ns` is when the node no longer
    answered, or another one no longer counted it as running (0: never). `healing_ns` and `healed_ns` are
    begin and end of the command that heals it. `served_ns` is the first of the calls after that with which
    the trial was content, because all of them were answered well (0: it waited until the bound was over).
    """

    part: str
    node: str
    begun_ns: int
    struck_ns: int
    noticed_ns: int = 0
    healing_ns: int = 0
    healed_ns: int = 0
    served_ns: int = 0


class EngineQueue(Model):
    """One of the engines' queues before the fault, and what the other nodes said of it at the fault's end.

    `home` is the leader of a quorum queue, or the one node that has a classic one. `during` is empty if the
    queue was not listed, None if nobody was left to ask.
    """

    name: str
    type: str
    home: str
    during: str | None = None


class BrokerTrial(Model):
    """Evidence of B1 to B5: calls at a fixed pace and stacks, while `faults` came and went.

    `nodes` are all nodes of the cluster. `outage_bound_s` is the bound of `core.messaging_bounds` from a
    fault until others serve; `return_bound_s` that from a node's return until its clients are served, and
    all calls that waited meanwhile have expired (`rpc_response_timeout`). `consumers` and `returned` count
    the consumers of `engine` before and after, `apart` names the nodes that were not in one cluster with
    the others at the end. `rotation` are calls made afterwards, one at a time; `no_rotation` is why there
    are none. `waited_s` is how long stacks were waited for.
    """

    fault: str
    nodes: tuple[str, ...]
    faults: tuple[NodeFault, ...] = ()
    queues: tuple[EngineQueue, ...] = ()
    outage_bound_s: float = 0.0
    return_bound_s: float = 0.0
    calls: tuple[HeatCall, ...] = ()
    stacks: tuple[StackRecord, ...] = ()
    waited_s: float = 0.0
    consumers: int = 0
    returned: int = 0
    apart: tuple[str, ...] = ()
    rotation: Rotation | None = None
    no_rotation: str | None = None
    does_not_apply: str | None = None

    @property
    def total(self) -> bool:
        """Whether all nodes were gone at once, so that nobody could serve."""
        gone = {fault.node for fault in self.faults}
        first_healed_ns = min((fault.healing_ns for fault in self.faults), default=0)
        together = all(fault.begun_ns < first_healed_ns for fault in self.faults)
        return together and gone >= {*self.nodes}

    @property
    def usual_s(self) -> float:
        """The longest time of a good call before the first fault."""
        first_ns = min(fault.begun_ns for fault in self.faults)
        return max((c.took_s for c in self.calls if c.ok and c.done_ns < first_ns), default=0.0)

    def excused(self) -> Iterator[tuple[int, int]]:
        """The windows in which calls may be sent that fail: begin and end, ns since the epoch.

        While all nodes are gone nobody serves. Else the others must serve within the bound; and the return
        of a node, which makes its clients connect once more, may disturb again. A window begins so early
        that a call of usual length is still under way: one that was sent earlier, and hangs, has failed.
        """
        outage_ns, return_ns = int(self.outage_bound_s * 1e9), int(self.return_bound_s * 1e9)
        usual_ns = int(self.usual_s * 1e9)
        if self.total:
            begun_ns = min(fault.begun_ns for fault in self.faults)
            yield begun_ns, max(fault.healed_ns for fault in self.faults) + return_ns
            return
        for fault in self.faults:
            yield fault.begun_ns - usual_ns, fault.struck_ns + outage_ns
            yield fault.healing_ns - usual_ns, fault.healed_ns + return_ns

    def judged(self) -> list[HeatCall]:
        """The calls sent outside of these windows, since the first fault: they must have succeeded."""
        first_ns = min(fault.begun_ns for fault in self.faults)
        windows = [*self.excused()]
        return [
            call
            for call in self.calls
            if call.sent_ns >= first_ns and not any(begin <= call.sent_ns <= end for begin, end in windows)
        ]

    def proving(self) -> list[HeatCall]:
        """The calls that show service after the faults: those judged, and those the trial was content with.

        The latter were sent before the bound was over, when a call may still fail.
        """
        judged, served_ns = self.judged(), self.faults[-1].served_ns
        content = [call for call in self.calls if served_ns and call.sent_ns >= served_ns and call.ok]
        return [*judged, *(call for call in content if call not in judged)]

    def unexcused(self) -> list[HeatCall]:
        """Those of them that failed."""
        return [call for call in self.judged() if not call.ok]

    @property
    def outage_s(self) -> float:
        """Seconds from a fault until the last call was sent that failed before the node was healed.

        While all nodes are gone: from their return on.
        """
        if self.total:
            begins = [(max(fault.healed_ns for fault in self.faults), 0)]
        else:
            begins = [(fault.struck_ns, fault.healing_ns) for fault in self.faults]
        last_s = 0.0
        for begin_ns, end_ns in begins:
            sent = [
                call.sent_ns
                for call in self.calls
                if not call.ok and call.sent_ns >= begin_ns and (not end_ns or call.sent_ns < end_ns)
            ]
            last_s = max([last_s, *((ns - begin_ns) / 1e9 for ns in sent)])
        return round(last_s, 2)

    def lost_home(self, queue: str) -> str | None:
        """The node with which a classic queue died; None if the queue is of another type or lives."""
        gone = {fault.node for fault in self.faults}
        return next(
            (q.home for q in self.queues if q.name == queue and q.type == "classic" and q.home in gone),
            None,
        )

    def figures(self) -> dict[str, Figure]:
        """The figures of every trial."""
        bad = [call for call in self.calls if not call.ok]
        accepted = [record for record in self.stacks if record.accepted]
        taken = [record for record in self.stacks if record.taken]
        return {
            "nodes": len(self.nodes),
            "faults": len(self.faults),
            "calls": len(self.calls),
            "failed_calls": len(bad),
            "longest_failed_s": round(max((call.took_s for call in bad), default=0.0), 2),
            "outage_s": self.outage_s,
            "bound_s": round(self.return_bound_s if self.total else self.outage_bound_s, 2),
            "stacks_accepted": len(accepted),
            "stacks_complete": sum(record.outcome == "CREATE_COMPLETE" for record in taken),
            "stacks_failed": sum(record.outcome == "CREATE_FAILED" for record in taken),
            "stacks_unaccounted": sum(not record.final for record in taken),
            "consumers": self.consumers,
            "consumers_after": self.returned,
        }
