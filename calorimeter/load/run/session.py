"""One process's part of a load: what it loads, from which sources, and where it records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gevent.event import Event

from calorimeter.core import files
from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.host.precedence import WRITER, Precedence
from calorimeter.core.recorded.samples import ACTION
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.apis.quota import Quota
from calorimeter.load.apis.stack_api import StackApi
from calorimeter.load.arrivals.due_times import RateProfile, schedule
from calorimeter.load.arrivals.open_arrivals import OpenArrivals
from calorimeter.load.http.client import Client, RequestTimeouts
from calorimeter.load.http.connection import Endpoint, front_endpoint
from calorimeter.load.recording.recorder import LedgerRecorder, SampleRecorder
from calorimeter.load.tenants import leftovers, tenants
from calorimeter.load.tenants.leftovers import Cleaner
from calorimeter.load.tenants.tenants import TenantPool
from calorimeter.workload.scenario import Scenario


@dataclass(frozen=True, slots=True)
class ApiUnderLoad:
    """One API as this process loads it: its front address, and the sources of its users."""

    api: StackApi
    endpoint: Endpoint
    sources: SourceAddresses


class Recorders:
    """The recorders of one worker of one run; their threads have the process's precedence."""

    def __init__(
        self,
        run: Path,
        worker: str,
        on_failure: Callable[[str], None],
        precedence: Precedence | None = None,
    ) -> None:
        for kind in ("samples", "ledger", "actions"):
            files.make_folder(run / kind)
        self.run = run
        self.samples = SampleRecorder(run / "samples", worker, on_failure)
        self.ledger = LedgerRecorder(run / "ledger", worker, on_failure)
        self.actions = LedgerRecorder(run / "actions", worker, on_failure, ACTION)
        if precedence is not None:
            for recorder in (self.samples, self.ledger, self.actions):
                recorder.segments.in_thread(partial(precedence.take, WRITER))

    def close(self) -> None:
        """Write all rows to disk. Nothing may be recorded after this call."""
        self.samples.close()
        self.ledger.close()
        self.actions.close()


@dataclass(slots=True)
class LoadSession:
    """The state that the users of this process share."""

    deployment: Deployment
    scenario: Scenario
    timeouts: RequestTimeouts
    token: Token
    fronts: dict[str, ApiUnderLoad]
    cleaner: Cleaner
    tagged: bool = False
    """Whether stacks get a tag."""
    load_from_ns: int = 0
    """When the warm-up ends."""
    clean_up_from_ns: int = 2**63
    """When the load has ended."""
    arrivals: OpenArrivals | None = None
    """The open arrivals; None if users are closed."""
    worker: int = 0
    workers: int = 1
    recorders: Recorders | None = None
    ends_ns: int = 0
    """The deadline of the cleanup; 0 during the load."""
    quota: Quota = field(default_factory=Quota)
    """The quota of the deployment's own project, used without tenants."""
    tenants: TenantPool | None = None
    unaccounted: list[str] = field(default_factory=list)
    """Names of stacks and configs that may have been left."""
    in_progress: int = 0
    """Stacks of this process's users, accepted and not yet seen in a final state."""
    over: Event = field(default_factory=Event)
    """Set when the load has ended: users stop thinking and waiting."""
    _users: int = 0

    def begin(self, recorders: Recorders, *, worker: int = 0, workers: int = 1) -> None:
        """Start recording a run; the numbers of users start again."""
        self.tenants = tenants.log_in(
            self.deployment, self.scenario, self.token, recorders.run.name, workers, self.tagged
        )
        self.recorders = recorders
        self.worker, self.workers = worker, max(workers, worker + 1)
        self._users = self.in_progress = 0
        self.ends_ns = 0
        self.unaccounted.clear()
        self.over.clear()
        self.clean_up_from_ns = 2**63
        self.arrivals = None
        self.warm_up_from(now_ns())

    def warm_up_from(self, begin_ns: int) -> None:
        """Set the beginning of the warm-up."""
        self.load_from_ns = begin_ns + int(self.scenario.warm_up_s * 1e9)

    def phase(self, scheduled_ns: int) -> str:
        """The phase of a request that is due at this time."""
        if scheduled_ns >= self.clean_up_from_ns:
            return "clean_up"
        return "load" if scheduled_ns >= self.load_from_ns else "warm_up"

    def stopping(self) -> None:
        """End the load: users start no new work and remove their stacks."""
        self.clean_up_from_ns = now_ns()
        self.ends_ns = self.clean_up_from_ns + int(self.scenario.clean_up_s * 1e9)
        self.over.set()
        if self.arrivals is not None:
            self.arrivals.close()

    def end(self) -> None:
        """End recording; all rows are on disk afterwards."""
        if self.recorders is not None:
            self.recorders.close()
            self.recorders = None
        if self.tenants is not None:
            self.tenants.stop_renewing()

    def next_user(self) -> int:
        """The next user's number: unique among all workers, the same in each run with as many workers."""
        number = self.worker + self._users * self.workers
        self._users += 1
        return number

    @property
    def prefix(self) -> str:
        """The beginning of the names of this run's stacks."""
        assert self.recorders is not None
        return leftovers.prefix(self.recorders.run.name)

    def api(self, api: str, number: int) -> tuple[StackApi, Quota]:
        """A user's API, with the credentials of its tenant, and the tenant's quota."""
        if self.tenants is None:
            return self.fronts[api].api, self.quota
        tenant = self.tenants.of(number)
        return tenant.apis[api], tenant.quota

    def sweep(self, until_ns: int) -> int | None:
        """Remove this run's remaining stacks; returns how many are left, None if they cannot be listed."""
        cleaners = [self.cleaner]
        if self.tenants is not None:
            cleaners = [self.cleaner.for_project_of(tenant.apis["rest"]) for tenant in self.tenants.all]
        total = 0
        for cleaner in cleaners:
            _, left = cleaner.remove(self.prefix, until_ns)
            if left is None:
                return None
            total += left
        return total

    def client(self, api: str, number: int) -> tuple[Client, str]:
        """A client for a user, and its source address (empty: the system's choice)."""
        front = self.fronts.get(api)
        to, sources = (front.endpoint, front.sources) if front else target(self.deployment, api)
        source = sources.of_user(number)
        return Client(to, source, self.timeouts), source or ""


def open_arrivals(session: LoadSession, dropped: Callable[[str, int, int], None]) -> OpenArrivals:
    """This process's part of the scenario's open arrivals; the APIs share them by their users' weights."""
    scenario = session.scenario
    shares = {api: load.users for api in session.fronts if (load := scenario.load(api))}
    due = schedule(
        RateProfile(scenario.rates),
        spacing=scenario.arrivals.spacing if scenario.arrivals else "poisson",
        seed=scenario.seed,
        shares=list(shares.values()),
        worker=session.worker,
        workers=session.workers,
    )
    return OpenArrivals(due, tuple(shares), dropped)


def target(deployment: Deployment, api: str) -> tuple[Endpoint, SourceAddresses]:
    """The front address of an API, and the sources that can reach it. Raises InputError if it has none."""
    described = deployment.api(api)
    if described is None:
        raise InputError(
            str(deployment.path), f"has no [{api}] table", "the scenario has operations of that API"
        )
    to = front_endpoint(described, deployment.tls)
    return to, SourceAddresses(deployment.clients.sources).of_family(to.family)
