"""Which sections of a HAProxy serve Heat's REST API and its CFN API, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from calorimeter.config.audit.sections.listeners import APIS, ApiName, Listeners
from calorimeter.config.audit.sections.routes import Route, route
from calorimeter.config.audit.sections.section_chains import ends
from calorimeter.config.audit.sections.section_votes import SectionVote, votes
from calorimeter.config.haproxy import HAProxyConfig, ProxiedService

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class SectionCandidate:
    """A path from binds to servers, how its frontend chooses it, and the votes on the API that it serves.

    `reached`: a frontend uses the section, as far as the configuration says it.
    """

    service: ProxiedService
    route: Route
    votes: tuple[SectionVote, ...]
    reached: bool

    def score(self, api: ApiName | None) -> int:
        """The sum of the votes for an API, or for neither."""
        return sum(vote.weight for vote in self.votes if vote.api == api)

    @property
    def own(self) -> bool:
        """Whether more than a port number says that it is Heat's."""
        return any(vote.own for vote in self.votes if vote.api is not None)

    @property
    def api(self) -> ApiName | None:
        """The API that it plainly serves: with twice the votes of the other one."""
        first, second = sorted(APIS, key=self.score, reverse=True)
        plain = self.score(first) > self.score(None) and self.score(first) >= 2 * self.score(second)
        return first if plain else None

    @property
    def heat(self) -> bool:
        """Whether there is evidence for one of the APIs, and not more for neither."""
        return max(self.score(api) for api in APIS) > self.score(None)

    @property
    def servers(self) -> frozenset[tuple[str, str]]:
        """Name and address of its servers: sections with the same ones are ways to the same processes."""
        return frozenset((server.name, server.text) for server in self.service.back.servers)

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts of its servers."""
        return frozenset(server.host for server in self.service.back.servers)

    @property
    def text(self) -> str:
        """Its name and the reasons: `heat3_backend (frontend heat3: bind …, servers at port 8004)`."""
        front, back = self.service.front, self.service.back
        binds = ", ".join(dict.fromkeys(bind.text for bind in front.binds[:4])) or "nothing"
        ports = sorted({server.port for server in back.servers if server.port})
        facts = [f"bind {binds}", f"servers at port {', '.join(str(port) for port in ports) or '?'}"]
        facts += [vote.reason for vote in self.votes if vote.own]
        return f"{back.name} ({front.kind} {front.name}: {', '.join(facts)})"


@dataclass(frozen=True, slots=True)
class ApiSections:
    """The services of each API, and all candidates.

    `unclear` are the candidates for an API of which none is plainly right.
    """

    services: Mapping[ApiName, tuple[ProxiedService, ...]]
    candidates: tuple[SectionCandidate, ...]
    unclear: Mapping[ApiName, tuple[SectionCandidate, ...]] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """The names by which the owner can name a section: those of the fronts and of the backs."""
        pairs = ((each.service.front.name, each.service.name) for each in self.candidates)
        return {name for pair in pairs for name in pair}

    def named(self, api: ApiName, name: str) -> tuple[SectionCandidate, ...]:
        """The candidates with a name; of a frontend's backends those that the votes give to the API."""
        return _named(self.candidates, api, name)

    def route(self, service: ProxiedService) -> Route:
        """How the frontend of a service chooses its backend."""
        return next((each.route for each in self.candidates if each.service is service), Route())

    def listed(self, api: ApiName) -> str:
        """The candidates for an API, with their reasons; every section with servers if there are none."""
        found = self.unclear.get(api) or tuple(each for each in self.candidates if each.score(api))
        shown = list(dict.fromkeys(each.text for each in found or self.candidates))
        more = [f"and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        return "; ".join(shown[:_SHOWN] + more) or "none"


def find(configuration: HAProxyConfig, listeners: Listeners, given: Mapping[str, str]) -> ApiSections:
    """Decide which sections serve which API; `given` are the sections that the owner names."""
    candidates = tuple(_candidates(configuration, listeners))
    named = {api: chosen for api in APIS if (chosen := _named(candidates, api, given.get(api)))}
    first = {id(each) for chosen in named.values() for each in chosen}
    free = [each for each in candidates if id(each) not in first and each.reached]
    unclear: dict[ApiName, tuple[SectionCandidate, ...]] = {}
    found = dict(named)
    for api in APIS:
        if api in named:
            same = {each.servers for each in named[api]}
            further = (each for each in free if each.servers in same and each.api in (api, None))
            found[api] = (*named[api], *further)
            continue
        plain = [each for each in free if each.api == api]
        chosen = _chosen(plain, api)
        if not chosen:
            unclear[api] = tuple(plain) or tuple(each for each in free if each.heat and each.api is None)
        found[api] = chosen
    _leave_out_strangers(found, unclear)
    order = {id(each): (id(each) not in first, index) for index, each in enumerate(candidates)}
    services = {
        api: tuple(each.service for each in sorted(found[api], key=lambda each: order[id(each)]))
        for api in APIS
    }
    return ApiSections(services, candidates, {api: group for api, group in unclear.items() if group})


def _candidates(configuration: HAProxyConfig, listeners: Listeners) -> Iterator[SectionCandidate]:
    services = configuration.services
    uses = Counter(service.front.name for service in services if service.front is not service.back)
    backs = {id(service.back) for service in services}
    unused = (proxy for proxy in configuration.proxies if proxy.kind != "frontend" and proxy.servers)
    pairs = [(service, True) for service in services]
    pairs += [(ProxiedService(proxy, proxy), False) for proxy in unused if id(proxy) not in backs]
    for first, reached in pairs:
        way = route(first)
        shared = bool(way.dynamic) or uses[first.front.name] > 1
        for last in ends(services, first):
            service = first if last is first else replace(first, back=last.back)
            found = votes(service, way, listeners, shared_front=shared)
            yield SectionCandidate(service, way, tuple(found), reached)


def _named(
    candidates: tuple[SectionCandidate, ...], api: ApiName, name: str | None
) -> tuple[SectionCandidate, ...]:
    """The candidates with a name; of a frontend's backends those that the votes give to the API."""
    backs = tuple(each for each in candidates if name == each.service.name)
    if backs or name is None:
        return backs
    fronts = tuple(each for each in candidates if name == each.service.front.name)
    if len({each.service.name for each in fronts}) == 1:
        return fronts
    (other,) = (each for each in APIS if each != api)
    best = max((each.score(api) - each.score(other) - each.score(None) for each in fronts), default=0)
    return tuple(
        each for each in fronts if each.score(api) - each.score(other) - each.score(None) == best > 0
    )


def _chosen(plain: Iterable[SectionCandidate], api: ApiName) -> tuple[SectionCandidate, ...]:
    """The sections of an API among those whose votes are for it; none if they are not plainly one API's."""
    ranked = sorted(plain, key=lambda each: (each.own, each.score(api)), reverse=True)
    if not ranked:
        return ()
    best = ranked[0]
    strong = [each for each in ranked if each.own and each.score(api) * 2 > best.score(api)]
    if not strong:
        strong = [each for each in ranked if each.score(api) == best.score(api)]
        if len({each.servers for each in strong}) > 1:
            return ()
    same = {each.servers for each in strong}
    return tuple(each for each in ranked if each in strong or each.servers in same)


def _leave_out_strangers(
    found: dict[ApiName, tuple[SectionCandidate, ...]], unclear: dict[ApiName, tuple[SectionCandidate, ...]]
) -> None:
    """Leave out a section that only its port makes the CFN API, on other machines than the REST API's."""
    rest, cfn = found["rest"], found["cfn"]
    known = any(each.own for each in rest)
    hosts = frozenset[str]().union(*(each.hosts for each in rest))
    weak = bool(cfn) and not any(each.own for each in cfn)
    if known and weak and not any(each.hosts & hosts for each in cfn):
        unclear["cfn"], found["cfn"] = cfn, ()
