"""Sabotages of a lab's proxy, each of which some gate must find.

A sabotage changes the proxy's configuration, and a new HAProxy process takes over. The lab's
deployment.toml is unchanged: it describes the intended state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from signal import SIGKILL
from typing import Any

from calorimeter.config.haproxy.haproxy_writer import HealthCheck, ListenSection, ProxyConfig, ServerLine
from calorimeter.core.errors import unknown
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import combinations, deployment_file, lab_profile, lab_state, lock, processes
from calorimeter.lab.daemons import haproxy, readiness
from calorimeter.lab.daemons.daemon import DaemonError, tail
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.processes import LabProcess

Change = Callable[[Lab, ProxyConfig], ProxyConfig]

ELSEWHERE = "127.0.0.9"
"""A loopback address that no client uses."""

OLD_ENDS_S = 15.0
"""Time for the old HAProxy process to finish its sessions; one that a client holds open ends then."""

STARTS_S = 15.0


@dataclass(frozen=True, slots=True)
class Sabotage:
    """A sabotage: its description, and the change of the proxy's configuration."""

    what: str
    proxy: Change


def _listens(
    config: ProxyConfig, change: Callable[[ListenSection], ListenSection], only: str = ""
) -> ProxyConfig:
    """The configuration with `change` applied to each `listen` section, or to one API's."""
    wanted = haproxy.SECTIONS.get(only, "")
    listens = tuple(change(each) if each.name == wanted or not only else each for each in config.listens)
    return replace(config, listens=listens)


def _balance(how: str, only: str = "") -> Change:
    return lambda _, config: _listens(config, lambda each: replace(each, balance=how, hash_type=None), only)


def _servers(change: Callable[[ServerLine], ServerLine]) -> Change:
    """The change of every server line by `change`."""
    return lambda _, config: _listens(
        config, lambda each: replace(each, servers=tuple(map(change, each.servers)))
    )


def _weight(_: Lab, config: ProxyConfig) -> ProxyConfig:
    def heavier(servers: tuple[ServerLine, ...]) -> tuple[ServerLine, ...]:
        first, *others = servers
        return (replace(first, weight=3 * (first.weight or 1)), *others)

    return _listens(config, lambda each: replace(each, servers=heavier(each.servers)), "rest")


def _stick(_: Lab, config: ProxyConfig) -> ProxyConfig:
    """A table of this proxy alone, also in place of one that a pair shares."""
    own = (haproxy.TABLE, haproxy.ON_SOURCE)

    def change(each: ListenSection) -> ListenSection:
        others = (line for line in each.lines if not line.startswith("stick"))
        return replace(each, lines=(*others, *own))

    return _listens(config, change)


def _missing(_: Lab, config: ProxyConfig) -> ProxyConfig:
    return _listens(config, lambda each: replace(each, servers=each.servers[:-1]), "rest")


def _no_keepalive(_: Lab, config: ProxyConfig) -> ProxyConfig:
    def without(each: ListenSection) -> ListenSection:
        return replace(each, options=tuple(option for option in each.options if option != "tcpka"))

    return _listens(config, without)


def _small_maxconn(_: Lab, config: ProxyConfig) -> ProxyConfig:
    def limited(server: ServerLine) -> ServerLine:
        words = tuple(word for word in server.words if not word.startswith("maxconn"))
        return replace(server, words=(*words, "maxconn 1"))

    return replace(_servers(limited)(_, config), timeouts={**config.timeouts, "queue": "100ms"})


def _elsewhere(lab: Lab, config: ProxyConfig) -> ProxyConfig:
    return _listens(config, lambda each: replace(each, bind=(f"{ELSEWHERE}:{lab.port('cfn')}",)), "cfn")


def _timeout(name: str, value: str) -> Change:
    return lambda _, config: replace(config, timeouts={**config.timeouts, name: value})


def _translated(lab: Lab, config: ProxyConfig) -> ProxyConfig:
    """A second proxy in front hides the clients' addresses, as address translation does."""
    fronts = []
    behind = []
    sections = {name: api for api, name in haproxy.SECTIONS.items()}
    for listen in config.listens:
        api = sections.get(listen.name)
        if api is None:
            behind.append(listen)
            continue
        inner = f"{ELSEWHERE}:{lab.port(api)}"
        behind.append(replace(listen, bind=(inner,)))
        fronts.append(
            ListenSection(
                name=f"{api}_translation",
                bind=listen.bind,
                servers=(ServerLine("inner", inner),),
                balance="roundrobin",
                options=("tcpka",),
                lines=("mode tcp", "no log"),
            )
        )
    return replace(config, listens=(*fronts, *behind))


def _check(check: HealthCheck | None) -> Change:
    return _servers(lambda server: replace(server, check=check))


def _any_path(_: Lab, config: ProxyConfig) -> ProxyConfig:
    def asked(each: ListenSection) -> ListenSection:
        options = (o if not o.startswith("httpchk") else "httpchk GET /" for o in each.options)
        return replace(each, options=tuple(options))

    return _listens(config, asked)


def _sessions_stay(server: ServerLine) -> ServerLine:
    return replace(server, words=tuple(w for w in server.words if not w.startswith("on-marked-down")))


def _backup(_: Lab, config: ProxyConfig) -> ProxyConfig:
    def change(each: ListenSection) -> ListenSection:
        *others, last = each.servers
        return replace(each, servers=(*others, replace(last, words=(*last.words, "backup"))))

    return _listens(config, change, "rest")


SABOTAGES: Mapping[str, Sabotage] = {
    "roundrobin": Sabotage("balance roundrobin instead of source", _balance("roundrobin")),
    "leastconn": Sabotage("balance leastconn instead of source", _balance("leastconn")),
    "cfn-roundrobin": Sabotage("balance roundrobin for CFN alone", _balance("roundrobin", "cfn")),
    "weight": Sabotage("the first REST server with three times its weight", _weight),
    "stick-table": Sabotage("a stick table that overrides the hash", _stick),
    "missing-server": Sabotage("the last REST server left out of the proxy", _missing),
    "keepalive-off": Sabotage("no option tcpka", _no_keepalive),
    "small-maxconn": Sabotage("servers with maxconn 1, and timeout queue 100ms", _small_maxconn),
    "wrong-address": Sabotage("the CFN proxy listens on another address", _elsewhere),
    "short-timeout": Sabotage("timeout client 1s", _timeout("client", "1s")),
    "unchecked": Sabotage("no check on any server line", _check(None)),
    "fall-100": Sabotage(
        "fall 100: a server is DOWN after a hundred failed checks", _check(HealthCheck(fall=100))
    ),
    "slow-checks": Sabotage("timeout check 30s", _timeout("check", "30s")),
    "any-path": Sabotage("health checks of a path that is answered in any state of health", _any_path),
    "sessions-stay": Sabotage("no on-marked-down shutdown-sessions", _servers(_sessions_stay)),
    "backup": Sabotage("the last REST server is only a backup", _backup),
    "translation": Sabotage("the clients' addresses are hidden from the proxy", _translated),
}
"""Name → the sabotage."""


def sabotage(name: str, what: str) -> None:
    """Apply one of `SABOTAGES` to the lab called `name`, in place of an earlier one.

    Raises `InputError` for an unknown sabotage or lab, `DaemonError` if HAProxy refuses.
    """
    if what not in SABOTAGES:
        raise unknown("lab sabotage", "sabotage", what, SABOTAGES)
    vary(name, SABOTAGES[what].proxy)


def vary(name: str, change: Change) -> None:
    """Change the proxy's configuration in any way, until `heal`. Raises as `sabotage` does."""
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        _take_over(lab, lambda config: change(lab, config))


def heal(name: str) -> None:
    """Restore the lab's own proxy configuration. Raises as `sabotage` does."""
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        _take_over(lab)


def reshape(name: str, changes: Mapping[str, Any]) -> Lab:
    """Change the requested proxy (fields of `LabTopology`) and describe it anew.

    A field that is None gets the default of the lab's profile, or of `LabTopology`.
    """
    with lock.held(lab_state.folder(name), 30):
        before = lab_state.open_lab(name)
        given = {key: value for key, value in changes.items() if value is not None}
        profile = before.topology.profile
        own = lab_profile.topology_options(profile, given) if profile else given
        kept = before.topology.model_dump(exclude=set(changes))
        asked = LabTopology(**kept, **{key: own[key] for key in changes if key in own})
        combinations.check(asked, {})
        after = Lab(before.folder, asked, before.secrets, before.programs)
        _take_over(after)
        lab_state.write(after.topology, after.folder)
        deployment_file.write(after)
        return after


def _take_over(lab: Lab, change: Callable[[ProxyConfig], ProxyConfig] = lambda config: config) -> None:
    """Give each proxy its configuration with a change."""
    for part in lab.topology.proxy_parts:
        replace_config(lab, part, change(haproxy.config(lab, part)))


def replace_config(lab: Lab, part: str, config: ProxyConfig) -> None:
    """Start a new HAProxy process; wait until it is the only one and accepts on all addresses."""
    before = processes.running(lab.folder, part)
    haproxy.prepare(lab, part, config)
    haproxy.reload(lab, part)
    binds = [bind.split()[0].rsplit(":", 1) for listen in config.listens for bind in listen.bind]
    # From its client host a lab can be reached at the addresses of hosts only.
    places = [(host, int(port)) for host, port in binds if not lab.layout or host == lab.host("rest")]
    try:
        _end(lab, part, before)
        until(lambda: all(readiness.accepts(host, port) for host, port in places), STARTS_S)
    except DeadlineError as problem:
        why = f"did not take over within {OLD_ENDS_S + STARTS_S:g} s"
        raise DaemonError(part, why, tail(lab.log(part))) from problem


def _end(lab: Lab, part: str, old: Sequence[LabProcess]) -> None:
    """Wait until these processes have ended by themselves, or end them. Raises DeadlineError."""
    pids = {process.pid for process in old}

    def ended() -> bool:
        return not pids & {process.pid for process in processes.running(lab.folder, part)}

    try:
        until(ended, OLD_ENDS_S)
    except DeadlineError:
        processes.send(old, lab.folder, SIGKILL)
        until(ended, OLD_ENDS_S)
