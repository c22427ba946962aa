"""One burst of stacks under the broker's trace: made, watched, read back, deleted."""

from __future__ import annotations

from verify.bench import Bench
from verify.checks.consumers import ENGINE, WORKER
from verify.checks.ledger import Ledger
from verify.checks.shares import Shares
from verify.evidence.firehose import depth
from verify.experiments.heat_client import HeatClient
from verify.experiments.repeated import Repeated
from verify.experiments.stacks import POLL_S, TIMEOUT_MIN, attributed, depths, stacks
from verify.experiments.traced import traced

RESOURCES = 12


def ledger(bench: Bench) -> Ledger:
    """Make and delete the bench's number of stacks; one experiment for E3, E10, L1 and L2."""
    return bench.once("ledger", lambda: _ledger(bench))


def _ledger(bench: Bench) -> Ledger:
    client = HeatClient(bench)
    waited_s = TIMEOUT_MIN * 60.0
    with traced(bench) as watching, stacks(client, RESOURCES, watching.check) as made:
        start = watching.quiet(WORKER)
        with depths(bench.deployment) as noted:
            with Repeated("states", POLL_S, made.look):
                made.burst(bench.settings.stacks)
            made.await_final(waited_s)
        made.read_back()
        left = made.delete_all()
        shares = watching.shares(start)
        calls = watching.deliveries(ENGINE, start.event)
        engines = {e.request_id: watching.engine_of(e) for e in calls if e.request_id}
        waiting = sum(depth(bench.deployment, queue)[0] for queue in (ENGINE, WORKER))
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


def worker_shares(bench: Bench) -> Shares:
    """What each worker had of the work of those stacks."""
    found = ledger(bench).worker
    assert found is not None
    return found
