"""One burst of stacks under the broker's trace: made, watched, read back, deleted."""

from __future__ import annotations

from calorimeter.gates.clients.heat_client import HeatClient
from calorimeter.gates.clients.stacks import POLL_S, TIMEOUT_MIN, attributed, depths, stacks
from calorimeter.gates.context import Context
from calorimeter.gates.engines.consumers import ENGINE, WORKER
from calorimeter.gates.engines.shares import Shares
from calorimeter.gates.engines.traced_calls import traced
from calorimeter.gates.evidence.firehose import depth
from calorimeter.gates.ledger.stack_ledger import Ledger
from calorimeter.gates.repeated import Repeated

RESOURCES = 12


def ledger(context: Context) -> Ledger:
    """Make and delete the context's number of stacks; one experiment for E3, E10, L1 and L2."""
    return context.once("ledger", lambda: _ledger(context))


def _ledger(context: Context) -> Ledger:
    client = HeatClient(context)
    waited_s = TIMEOUT_MIN * 60.0
    with traced(context) as watching, stacks(client, RESOURCES, watching.check) as made:
        start = watching.quiet(WORKER)
        with depths(context.deployment) as noted:
            with Repeated("states", POLL_S, made.look):
                made.burst(context.settings.stacks)
            made.await_final(waited_s)
        made.read_back()
        left = made.delete_all()
        shares = watching.shares(start)
        calls = watching.deliveries(ENGINE, start.event)
        engines = {e.request_id: watching.engine_of(e) for e in calls if e.request_id}
        waiting = sum(depth(context.deployment, queue)[0] for queue in (ENGINE, WORKER))
        found = Ledger(
            entries=attributed(made.entries, engines),
            resources=RESOURCES,
            waited_s=waited_s,
            depths=tuple(noted),
            left=left,
            waiting=waiting,
        )
    # Whether the recording is whole is known for certain when it has ended.
    worker = shares.model_copy(update={"incomplete": watching.firehose.why_incomplete})
    return found.model_copy(update={"worker": worker})


def worker_shares(context: Context) -> Shares:
    """What each worker had of the work of those stacks."""
    found = ledger(context).worker
    assert found is not None
    return found
