"""The evidence that a section serves Heat's REST API, its CFN API, or neither: votes, each with a reason.

| evidence | vote |
|---|---|
| name says CloudWatch; or all servers have port 8003, and no Heat file puts an API there | neither, 20 |
| servers have the addresses of APIs in the Heat files | that API, up to 8 |
| name says another service of a cloud, and not Heat | neither, 7 |
| name says CFN or CloudFormation; or the path, the host or the ACL of its `use_backend` does | CFN, 4 |
| name says Heat or orchestration; or the path, the host or the ACL does | REST, 3 |
| the frontend is bound to the API's port (8004, 8000; TripleO's public 13004, 13005) | that API, 3 |
| the servers have the API's port (8004, 8000, or the one that the Heat files set) | that API, 3 |
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from calorimeter.config.audit.sections.listeners import APIS, ApiName, Listeners
from calorimeter.config.audit.sections.routes import Route
from calorimeter.config.haproxy import ProxiedService
from calorimeter.config.heat.heat_conf import DEFAULT_PORTS

_CLOUDWATCH = re.compile(r"cloud[-_. ]?w(atch)?(?![a-z])|(?<![a-z])cw(?![a-z])")
_CFN = re.compile(r"cfn|cloud[-_. ]?form")
_HEAT = re.compile(
    r"(?<![a-z])(openstack|os|vip|be|fe|bk|ft)?heat(?!map|ing|er)|orchestration|rest[-_.]?apis?(?![a-z])"
)
_OTHERS = re.compile(
    r"keystone|identity|nova|compute|placement|glance|image|neutron|network|cinder|volume|swift|object|manila"
    r"|horizon|dashboard|skyline|magnum|octavia|barbican|designate|ironic|mistral|murano|sahara|trove|zaqar"
    r"|aodh|gnocchi|ceilometer|panko|cloudkitty|watcher|senlin|masakari|tacker|blazar|zun|cyborg|vitrage"
    r"|freezer|solum|congress|mariadb|mysql|galera|postgres|rabbit|redis|memcache|etcd|prometheus|grafana"
    r"|alertmanager|opensearch|elasticsearch|kibana|influxdb|ceph|radosgw|rgw|novnc|spice|metadata|repo|stats"
)
_BIND_PORTS: dict[int, ApiName] = {8004: "rest", 8000: "cfn", 13004: "rest", 13005: "cfn"}
_CLOUDWATCH_PORT = 8003


@dataclass(frozen=True, slots=True)
class SectionVote:
    """One piece of evidence; `api` is None for neither API, `own` if it is more than a port number."""

    api: ApiName | None
    weight: int
    reason: str
    own: bool = True


def votes(
    service: ProxiedService, way: Route, listeners: Listeners, *, shared_front: bool
) -> Iterator[SectionVote]:
    """Every vote on a section. `shared_front`: its frontend has other backends, too."""
    ports = Counter(server.port for server in service.back.servers if server.port)
    at_listeners = list(_listener_votes(service, listeners))
    yield from at_listeners
    names = [service.back.name, *([] if shared_front else [service.front.name])]
    said = [vote for name in names if (vote := _name_vote(name, "name"))][:1]
    yield from said
    if set(ports) == {_CLOUDWATCH_PORT} and not at_listeners:
        yield SectionVote(None, 20, f"servers at port {_CLOUDWATCH_PORT}, that of the old CloudWatch API")
    routed = (_name_vote(word, "use_backend") for word in way.words)
    yield from [vote for vote in routed if vote and vote.api][:1]
    yield from _bind_votes(service, way, shared_front=shared_front)
    known: dict[int, ApiName] = {port: api for api, port in ((api, DEFAULT_PORTS[api]) for api in APIS)}
    known |= {port: api for api in APIS for port in listeners.ports(api)}
    port = ports.most_common(1)[0][0] if ports else 0
    if port in known and ports[port] * 2 > len(service.back.servers):
        yield SectionVote(known[port], 3, f"servers at port {port}", own=False)


def _name_vote(name: str, source: str) -> SectionVote | None:
    text = name.lower()
    reason = f"{source} {name}"
    if _CLOUDWATCH.search(text):
        return SectionVote(None, 20, f"{reason} says CloudWatch")
    if _CFN.search(text):
        return SectionVote("cfn", 4, f"{reason} says CFN")
    if _HEAT.search(text):
        return SectionVote("rest", 3, f"{reason} says Heat")
    if _OTHERS.search(text):
        return SectionVote(None, 7, f"{reason} says another service")
    return None


def _listener_votes(service: ProxiedService, listeners: Listeners) -> Iterator[SectionVote]:
    servers = service.back.servers
    for api in APIS:
        found = [(server, at) for server in servers if (at := listeners.exactly_at(api, server))]
        if found:
            server, at = found[0]
            yield SectionVote(api, round(8 * len(found) / len(servers)) or 1, f"{server.text} is {at.text}")


def _bind_votes(service: ProxiedService, way: Route, *, shared_front: bool) -> Iterator[SectionVote]:
    binds = {bind.port: bind.text for bind in service.front.binds if bind.port}
    if way.ports:
        binds = {port: text for port, text in binds.items() if port in way.ports}
    elif shared_front and len(binds) > 1:
        return
    for api in APIS:
        port = next((port for port in binds if _BIND_PORTS.get(port) == api), None)
        if port is not None:
            yield SectionVote(api, 3, f"bind {binds[port]}", own=False)
