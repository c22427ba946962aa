"""One process's part of a load: what it loads, from where, and where it records; ended with the run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gevent.event import Event

from calorimeter.core import deployment as deployments
from calorimeter.core import netns
from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Api, Consent, Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.samples import ACTION
from calorimeter.load.apis.cfn import CfnApi
from calorimeter.load.apis.keystone_tokens import Token, cfn_signer
from calorimeter.load.apis.rest import RestApi
from calorimeter.load.apis.stack_api import StackApi
from calorimeter.load.arrivals.due_times import Rates, schedule
from calorimeter.load.arrivals.open_arrivals import Arrivals
from calorimeter.load.http.client import Answer, Client, Timeouts
from calorimeter.load.http.connection import Endpoint, endpoint
from calorimeter.load.http.source_addresses import Sources
from calorimeter.load.operations import operation_table
from calorimeter.load.operations.quota import Quota
from calorimeter.load.recording.recorder import Ledger, Samples
from calorimeter.load.tenants import leftovers, tenants
from calorimeter.load.tenants.tenants import Tenant, Tenants
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario

PROBE = Timeouts(connect_s=5.0, first_byte_s=20.0, whole_s=30.0)


@dataclass(frozen=True, slots=True)
class Front:
    """One API as this process loads it."""

    api: StackApi
    endpoint: Endpoint
    sources: Sources


@dataclass(frozen=True, slots=True)
class Cleaning:
    """How stacks left behind are found and removed: through the REST API, whatever the load used."""

    api: RestApi
    endpoint: Endpoint
    source: str | None

    def client(self) -> Client:
        """A client for it."""
        return Client(self.endpoint, self.source, PROBE)

    def of(self, tenant: Tenant) -> Cleaning:
        """The same in a tenant's name."""
        api = tenant.apis["rest"]
        assert isinstance(api, RestApi)
        return Cleaning(api, self.endpoint, self.source)

    def sweep(self, prefix: str, until_ns: int) -> int | None:
        """Remove what is named so; how many stacks are left, None where that cannot be told."""
        client = self.client()
        try:
            _, left = leftovers.remove(self.api, client, prefix, until_ns)
        finally:
            client.close()
        return left


class Recording:
    """The samples and the ledger of one worker of one run."""

    def __init__(self, run: Path, worker: str, on_failure: Callable[[str], None]) -> None:
        try:
            for kind in ("samples", "ledger", "actions"):
                (run / kind).mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise InputError(str(run), f"cannot be written ({problem.strerror})") from problem
        self.run = run
        self.samples = Samples(run / "samples", worker, on_failure)
        self.ledger = Ledger(run / "ledger", worker, on_failure)
        self.actions = Ledger(run / "actions", worker, on_failure, ACTION)

    def close(self) -> None:
        """Everything is on disk after this."""
        self.samples.close()
        self.ledger.close()
        self.actions.close()


@dataclass(slots=True)
class Session:
    """What the users of this process share."""

    deployment: Deployment
    scenario: Scenario
    timeouts: Timeouts
    token: Token
    fronts: dict[str, Front]
    cleaning: Cleaning
    load_from_ns: int = 0
    """When the warm-up ends."""
    clean_up_from_ns: int = 2**63
    """When the load has ended."""
    arrivals: Arrivals | None = None
    """Where arrivals are open."""
    worker: int = 0
    workers: int = 1
    recording: Recording | None = None
    ends_ns: int = 0
    """When cleaning up must end; 0 while the run lasts."""
    quota: Quota = field(default_factory=Quota)
    """Of the deployment's own project, where there are no tenants."""
    tenants: Tenants | None = None
    unaccounted: list[str] = field(default_factory=list)
    over: Event = field(default_factory=Event)
    """Set when the load has ended; whoever thinks or waits stops doing so."""
    _users: int = 0

    def begin(self, recording: Recording, *, worker: int = 0, workers: int = 1) -> None:
        """Start recording; users are numbered from the start."""
        self.tenants = tenants.enter(self.deployment, self.scenario, recording.run.name, workers)
        self.recording = recording
        self.worker, self.workers = worker, max(workers, worker + 1)
        self._users = 0
        self.ends_ns = 0
        self.unaccounted.clear()
        self.over.clear()
        self.clean_up_from_ns = 2**63
        self.arrivals = None
        self.warm_up_from(now_ns())

    def warm_up_from(self, begin_ns: int) -> None:
        """The warm-up begins, or began, at this moment."""
        self.load_from_ns = begin_ns + int(self.scenario.warm_up_s * 1e9)

    def phase(self, scheduled_ns: int) -> str:
        """The phase to which a request belongs that is due then."""
        if scheduled_ns >= self.clean_up_from_ns:
            return "clean_up"
        return "load" if scheduled_ns >= self.load_from_ns else "warm_up"

    def stopping(self) -> None:
        """No new work from now on; users remove their stacks."""
        self.clean_up_from_ns = now_ns()
        self.ends_ns = self.clean_up_from_ns + int(self.scenario.clean_up_s * 1e9)
        self.over.set()
        if self.arrivals is not None:
            self.arrivals.close()

    def end(self) -> None:
        """Write everything down."""
        if self.recording is not None:
            self.recording.close()
            self.recording = None
        if self.tenants is not None:
            self.tenants.leave()

    def next_user(self) -> int:
        """The next user's number: unique over all workers, the same in every run of as many workers."""
        number = self.worker + self._users * self.workers
        self._users += 1
        return number

    @property
    def prefix(self) -> str:
        """How the names of this run's stacks begin."""
        assert self.recording is not None
        return leftovers.prefix(self.recording.run.name)

    def api(self, api: str, number: int) -> tuple[StackApi, Quota]:
        """An API as a user has it, in the name of the tenant it belongs to, and the tenant's quota."""
        if self.tenants is None:
            return self.fronts[api].api, self.quota
        tenant = self.tenants.of(number)
        return tenant.apis[api], tenant.quota

    def sweep(self, until_ns: int) -> int | None:
        """Remove this run's stacks of which nobody knows; how many are left, None where that is unknown."""
        doors = [self.cleaning]
        if self.tenants is not None:
            doors = [self.cleaning.of(tenant) for tenant in self.tenants.all]
        total = 0
        for door in doors:
            left = door.sweep(self.prefix, until_ns)
            if left is None:
                return None
            total += left
        return total

    def client(self, api: str, number: int) -> tuple[Client, str]:
        """A client for a user, and its source address (empty: the system's choice)."""
        front = self.fronts.get(api)
        to, sources = (front.endpoint, front.sources) if front else _way(self.deployment, api)
        source = sources.of_user(number)
        return Client(to, source, self.timeouts), source or ""


def open_arrivals(session: Session, dropped: Callable[[str, int, int], None]) -> Arrivals:
    """This process's part of the scenario's open arrivals; the APIs share them by their users' weights."""
    scenario = session.scenario
    shares = {api: load.users for api in session.fronts if (load := scenario.load(api))}
    due = schedule(
        Rates(scenario.rates),
        spacing=scenario.arrivals.spacing if scenario.arrivals else "poisson",
        seed=scenario.seed,
        shares=list(shares.values()),
        worker=session.worker,
        workers=session.workers,
    )
    return Arrivals(due, tuple(shares), dropped)


def prepare(deployment_file: Path, scenario_name: str) -> Session:
    """Read, check and try everything that a load needs, before any user starts.

    Raises `InputError`: unusable files, no consent to load, no token, a front that cannot be reached or
    does not accept the credentials, source addresses that are not this machine's.
    """
    scenario = catalogue.read(catalogue.find(scenario_name))
    operation_table.check(scenario)
    deployment = netns.visit(deployments.read(deployment_file))
    if not deployment.consent.level.allows(Consent.LOAD):
        raise InputError(
            f"{deployment_file}: consent.level",
            f"{deployment.consent.level.value!r} does not allow a load",
            "valid: 'load' or 'invasive', by the deployment's owner",
        )
    sources = Sources(deployment.clients.sources)
    sources.check()
    tenants.check(deployment, scenario)
    token = Token(deployment)
    fronts: dict[str, Front] = {}
    for name in ("rest", "cfn"):
        load = scenario.load(name)
        if load is not None:
            fronts[name] = _front(deployment, name, token, operation_table.tagged(scenario))
    for api in operation_table.apis(scenario) - fronts.keys():
        _way(deployment, api)
    timeouts = Timeouts(
        scenario.timeouts.connect_s, scenario.timeouts.first_byte_s, scenario.timeouts.whole_s
    )
    return Session(deployment, scenario, timeouts, token, fronts, cleaning(deployment, token))


def cleaning(deployment: Deployment, token: Token) -> Cleaning:
    """The REST API of a deployment, for finding and removing stacks."""
    to = endpoint(deployment.rest.front, deployment.rest.parts.scheme, deployment.tls)
    source = Sources(deployment.clients.sources).of_family(to.family).of_user(0)
    return Cleaning(RestApi(deployment.rest, to, token), to, source)


def _way(deployment: Deployment, name: str) -> tuple[Endpoint, Sources]:
    """Where an API is, and from where users may reach it; raises `InputError` where there is none."""
    where = deployment.api(name)
    if where is None:
        raise InputError(
            str(deployment.path), f"has no [{name}] table", "the scenario has operations of that API"
        )
    to = endpoint(where.front, where.parts.scheme, deployment.tls)
    return to, Sources(deployment.clients.sources).of_family(to.family)


def _front(deployment: Deployment, name: str, token: Token, tagged: bool) -> Front:
    to, usable = _way(deployment, name)
    where = deployment.api(name)
    assert where is not None
    api: StackApi = (
        RestApi(where, to, token, tagged) if name == "rest" else CfnApi(where, to, cfn_signer(deployment))
    )
    _try(where, api, Client(to, usable.of_user(0), PROBE), name)
    return Front(api, to, usable)


def _try(where: Api, api: StackApi, client: Client, name: str) -> None:
    answer = client.send(api.list())
    client.close()
    place = f"{name}.url {where.url}"
    if answer.error == "connect":
        raise InputError(place, f"cannot be reached ({_plain(answer)})", "is the proxy up?")
    if answer.error:
        raise InputError(
            place, f"accepts the connection but does not answer ({answer.error}: {_plain(answer)})"
        )
    if answer.status in (401, 403):
        raise InputError(place, f"refuses the credentials ({answer.status})", "check [identity]")
    if answer.status != 200:
        check = "check identity.ec2_access and ec2_secret, and the service's log" if name == "cfn" else ""
        raise InputError(place, f"answers a list of stacks with {answer.status}", check)


def _plain(answer: Answer) -> str:
    """`[Errno 111] Connection refused` without its number."""
    return answer.detail.partition("] ")[2] or answer.detail
