"""The lab's `deployment.toml`: the same format that an operator writes."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any, get_args

import yaml

from calorimeter.config import deployment_writer
from calorimeter.config.haproxy.haproxy_writer import ProxyConfig
from calorimeter.config.haproxy.units import seconds
from calorimeter.core import deployment, detection_bounds, files
from calorimeter.core.broker_table import Broker, BrokerNode
from calorimeter.core.control.controlled_part import Injection, Part
from calorimeter.core.database_table import Database
from calorimeter.core.engine_groups import EngineGroup
from calorimeter.core.expect import Expect
from calorimeter.core.host import netns
from calorimeter.core.login.identities import Identity
from calorimeter.core.secrecy.secrets import Secret
from calorimeter.core.upgrade_table import COMMAND_NAMES, UpgradeTable
from calorimeter.lab import broker_faults, lab_state, part_faults, tls_files, usage
from calorimeter.lab.daemons import haproxy, heat, keepalived, mariadb, messaging, rabbitmq_node
from calorimeter.lab.hosts import host_faults, network
from calorimeter.lab.lab_state import PROJECT, REGION, USER, Lab
from calorimeter.lab.lab_topology import LabTopology

SOURCES = "127.16.0.0/12"
"""Loopback addresses for clients; the lab's own daemons are at 127.0.0.1."""

SHALLOW = "Heat's own health check never uses RPC; `lab up --health rpc` installs one that does"

DROPPED = (
    "oslo.messaging acknowledges and drops calls that arrive while an engine stops; measured by "
    "`bin/soak clean-stop` (docs/reference/gates-engines.md)"
)

MAP_BASED = (
    "the guide's map-based hash is kept: health checks rescue clients, redispatch cannot; "
    "`lab up --hash-type consistent` changes it"
)

FROZEN = (
    "Heat's consumers do not leave a frozen node of RabbitMQ, although they miss its heartbeats (seen with "
    "Heat 24, oslo.messaging 18.3)"
)

TRANSIENT = (
    "`lab up --messaging classic`, Heat's default: queues are not durable, so work that is sent while "
    "RabbitMQ returns can find no queue, and is lost"
)

LOST_TABLE = "`lab up --stick-on src`: the stick table has no peers, so it is lost with its process"

_COMMENT = """\
Written by `calorimeter lab up` and `lab scale`, which overwrite changes: edit a copy.
The passwords are in secrets.toml beside it."""


CLOUD = "calorimeter"
"""The lab's name in its clouds.yaml."""


def write(lab: Lab, text: str | None = None) -> None:
    """Write the deployment file (`text` if it was rendered before), and a clouds.yaml for `openstack`."""
    lab_state.write_private(lab.clouds, yaml.safe_dump({"clouds": {CLOUD: _cloud(lab)}}))
    files.write(lab.deployment, text or render(lab))


def render(lab: Lab) -> str:
    """The text of the deployment file; no part must run for it."""
    return deployment_writer.render(describe(lab), _COMMENT)


def _cloud(lab: Lab) -> dict[str, object]:
    account = {
        "auth_url": f"{lab.url('keystone')}/v3",
        "username": USER,
        "password": lab.secrets[USER],
        "project_name": PROJECT,
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    more = {"cacert": str(lab.verify)} if lab.topology.tls else {}
    return {"auth": account, "region_name": REGION, **more}


def describe(lab: Lab) -> deployment.Deployment:
    """The lab as a deployment."""
    asked = lab.topology
    config = haproxy.config(lab, asked.proxy_parts[0])
    return deployment.Deployment(
        name=asked.name,
        rest=_api(lab, "rest", asked.rest_parts),
        cfn=_api(lab, "cfn", asked.cfn_parts),
        proxy=tuple(_proxy(lab, name) for name in asked.proxy_parts),
        broker=Broker(
            nodes=tuple(_broker_node(lab, part) for part in asked.broker_parts),
            statistics_lag_s=rabbitmq_node.STATISTICS_LAG_S,
            user=rabbitmq_node.user(lab),
            password=_secret("amqp"),
            vhost=asked.vhost,
        ),
        database=Database(
            url=f"tcp://{lab.address('mariadb')}",
            user=mariadb.OBSERVER,
            password=_secret("mariadb_observer"),
        ),
        engines=_engines(asked),
        identity=Identity(
            auth_url=f"{lab.url('keystone')}/v3",
            username=USER,
            password=_secret(USER),
            project=PROJECT,
            region=REGION,
            ec2_access=lab.secrets["ec2_access"],
            ec2_secret=_secret("ec2_secret"),
        ),
        tls=_tls(lab),
        clients=_clients(lab),
        parts=(
            *(_part(lab, name, heat.kind(name)) for name in asked.heat_parts),
            *(_part(lab, name, "proxy") for name in asked.proxy_parts),
            *(_part(lab, name, "broker") for name in asked.broker_parts),
            *(_part(lab, name, "keepalived") for name in asked.keepalived_parts),
            *((_host(lab, name) for name in lab.layout.machines) if lab.layout else ()),
        ),
        expect=_expect(lab, config),
        consent=deployment.ConsentTable(level=deployment.Consent.INVASIVE),
        heat_conf=_heat_confs(lab),
        waive=_waived(asked),
        usage=_command(lab, "usage"),
        scale=_scaling(lab),
        upgrade=_upgrading(lab),
        versions=usage.versions(lab),
    )


def _tls(lab: Lab) -> deployment.Tls:
    """Who vouches for its servers; the path is relative to the deployment file."""
    own = tls_files.ca_file(lab.tls_folder).relative_to(lab.folder)
    return deployment.Tls(ca_file=own if lab.topology.tls else None)


def _broker_node(lab: Lab, part: str) -> BrokerNode:
    amqp = rabbitmq_node.port_name(lab, part, "amqp")
    scheme = "amqps" if lab.topology.speaks_tls(amqp) else "amqp"
    return BrokerNode(
        name=rabbitmq_node.name(part),
        amqp=f"{scheme}://{lab.address(amqp)}",
        management=lab.url(rabbitmq_node.port_name(lab, part, "management")),
    )


def _proxy(lab: Lab, part: str) -> deployment.Proxy:
    stats = (
        f"tcp://{haproxy.stats_address(lab, part)}" if lab.layout else f"unix://{haproxy.stats(lab, part)}"
    )
    return deployment.Proxy(
        name=part,
        stats=(stats,),
        logs=(f"udp://{lab.address('log')}",),
        config=(haproxy.conf(lab, part),),
        check_with_haproxy=True,
        version=haproxy.version(lab),
        checks=_checks(haproxy.config(lab, part)),
        vrrp=next(
            (
                keepalived.vrrp(lab, own)
                for own in keepalived.parts(lab)
                if keepalived.proxy_of(own) == part
            ),
            None,
        ),
    )


def _engines(asked: LabTopology) -> tuple[EngineGroup, ...]:
    """The engines by host; the last host may have fewer."""
    each: dict[int, list[str]] = {}
    for host, parts in asked.engine_hosts.items():
        each.setdefault(len(parts), []).append(host)
    return tuple(
        EngineGroup(hosts=tuple(hosts), processes=count, workers=asked.workers)
        for count, hosts in each.items()
    )


def _heat_confs(lab: Lab) -> tuple[deployment.HeatConf, ...]:
    """The heat.conf of each API and of each host of engines."""
    of_file = {heat.shared_file(lab, part): part for part in reversed(lab.topology.heat_parts)}
    return tuple(
        deployment.HeatConf(
            host=lab.machine(part) or lab.topology.host_name(part),
            files=(file.relative_to(lab.folder),),
            roles=tuple(role for role in get_args(deployment.HeatRole) if role == heat.kind(part)),
        )
        for file, part in reversed(of_file.items())
    )


def _scaling(lab: Lab) -> deployment.Scaling:
    """The commands that scale the lab. In a sample only engines scale: each host has one API."""
    kinds = ("engines",) if lab.topology.sample else ("rest", "cfn", "engines")
    return deployment.Scaling.model_validate(
        {kind: f'{_command(lab, "scale")} --{kind} "$N"' for kind in kinds}
    )


def _upgrading(lab: Lab) -> UpgradeTable:
    """The commands of an upgrade, each with the words of `$PART`, `$TO` and `$VHOST` that it needs."""
    of_part = COMMAND_NAMES[4:]
    base, about = _command(lab, "upgrade"), '--to "$TO" --vhost "$VHOST"'
    commands = {
        name: f"{base} {name.replace('_', '-')} {part}{about}"
        for name in COMMAND_NAMES
        for part in ['"$PART" ' if name in of_part else ""]
    }
    return UpgradeTable.model_validate({"release": lab.topology.heat, **commands})


def _waived(asked: LabTopology) -> dict[str, str]:
    """Known failures that a lab's owner accepts. Nothing that the guide's own files show is waived."""
    waived = {"E9": DROPPED}
    if asked.health == "shallow":
        waived["H9"] = SHALLOW
    if asked.brokers > 1:
        waived["B2"] = FROZEN
    if asked.messaging == "classic":
        waived |= {"B4": TRANSIENT, "B5": TRANSIENT}
    if asked.stick_on == "src":
        waived["S9"] = LOST_TABLE
    map_based = asked.hash_type != "consistent" and not (asked.sample and asked.hash_type is None)
    if asked.proxy == "checked" and asked.balance == "source" and map_based:
        waived["A7-redispatch-map-based"] = MAP_BASED
    return waived


def _api(lab: Lab, api: str, parts: tuple[str, ...]) -> deployment.Api:
    backends = tuple(
        deployment.Backend(name=part, address=lab.address(part), tls=lab.topology.speaks_tls(part))
        for part in parts
    )
    return deployment.Api(url=f"{lab.url(api)}/v1", proxy_section=haproxy.SECTIONS[api], backends=backends)


def _clients(lab: Lab) -> deployment.Clients:
    openstack = lab.programs.heat("openstack")
    layout = lab.layout
    if layout is None:
        return deployment.Clients(sources=(SOURCES,), openstack=openstack)
    own = network.namespace(lab.topology.name, layout.client)
    return deployment.Clients(netns=own, sources=(layout.sources[layout.client],), openstack=openstack)


def _secret(key: str) -> Secret:
    return Secret.model_validate_json(f'{{"file": "secrets.toml", "key": "{key}"}}')


def _host(lab: Lab, name: str) -> Part:
    base = _command(lab, "part", name)
    breaks = {
        fault: Injection(inject=f"{base} {fault}", heal=f"{base} {heal}")
        for fault, heal in host_faults.HEALS.items()
    }
    off = lab.layout is not None and lab.layout.powers_off(name)
    power = {"kill": f"{base} kill", "start": f"{base} start"} if off else {}
    return Part.model_validate(
        {
            "name": name,
            "kind": "host",
            "sockets": _sockets(lab, name),
            "faults": breaks,
            **_of_proxy(lab, name),
            **power,
        }
    )


def _of_proxy(lab: Lab, host: str) -> dict[str, str]:
    """Which of several proxies a host carries, and what prints the host's addresses."""
    found = [p for p in lab.topology.proxy_parts if keepalived.parts(lab) and lab.machine(p) == host]
    own = network.namespace(lab.topology.name, host)
    shown = shlex.join(netns.within(own, "ip", "-o", "address"))
    return {"proxy": found[0], "addresses": shown} if found else {}


def _sockets(lab: Lab, host: str | None) -> str:
    within = network.namespace(lab.topology.name, host) if host else None
    return shlex.join(netns.within(within, "ss", "-tanoe"))


def _part(lab: Lab, name: str, kind: str) -> Part:
    base = _command(lab, "part", name)
    actions = ["kill", "stop", "start", "freeze", "thaw"]
    if kind in ("rest", "cfn"):
        actions += ["drain", "undrain"]
    commands = {action: f"{base} {action}" for action in actions}
    sockets = _sockets(lab, lab.machine(name))
    further = part_faults.injections(base) if kind in ("rest", "cfn") else {}
    if name in lab.topology.broker_parts and lab.topology.brokers > 1:
        further = broker_faults.injections(base)
    return Part.model_validate(
        {
            "name": name,
            "kind": kind,
            "sockets": sockets,
            "proxy": keepalived.proxy_of(name) if kind == "keepalived" else None,
            "faults": further,
            **commands,
        }
    )


def _command(lab: Lab, what: str, *words: str) -> str:
    """A command of `calorimeter lab` for this lab, as shell text."""
    # A state folder other than the default is named: the command may run without $XDG_STATE_HOME.
    state = os.environ.get("XDG_STATE_HOME")
    prefix = ["env", f"XDG_STATE_HOME={state}"] if state else []
    base = [sys.executable, "-m", "calorimeter", "lab", what, "--name", lab.topology.name]
    return shlex.join([*prefix, *base, *words])


def _checks(config: ProxyConfig) -> deployment.Checks | None:
    check = config.listens[0].servers[0].check
    if check is None:
        return None
    # What is not said is HAProxy's default, as in the deployment file.
    inter_s = seconds(check.inter) if check.inter else None
    said: dict[str, Any] = {"inter_s": inter_s, "fall": check.fall, "rise": check.rise}
    return deployment.Checks(
        timeout_check_s=_seconds(config, "check"),
        timeout_connect_s=seconds(config.timeouts["connect"]),
        **{key: value for key, value in said.items() if value is not None},
    )


def _seconds(config: ProxyConfig, timeout: str) -> float | None:
    return seconds(config.timeouts[timeout]) if timeout in config.timeouts else None


def _expect(lab: Lab, config: ProxyConfig) -> Expect:
    asked = lab.topology
    parts = (*asked.rest_parts, *asked.cfn_parts)
    weights = {
        server.name: server.weight
        for listen in config.listens
        for server in listen.servers
        if server.weight is not None
    }
    assert set(weights) <= set(parts)
    return Expect(
        balance=asked.balance,
        stick_on=haproxy.stick_on(config),
        hash_type=config.listens[0].hash_type or "map-based",
        weights=weights,
        server_maxconn=asked.server_maxconn,
        timeout_client_s=seconds(config.timeouts["client"]),
        timeout_server_s=seconds(config.timeouts["server"]),
        timeout_connect_s=seconds(config.timeouts["connect"]),
        timeout_queue_s=_seconds(config, "queue"),
        timeout_http_request_s=_seconds(config, "http-request"),
        rpc_timeout_s=float(asked.rpc_timeout_s),
        heartbeat_s=float(messaging.HEARTBEAT_S if asked.brokers > 1 else 60),
        **_wanted(lab, config),
    )


def _wanted(lab: Lab, config: ProxyConfig) -> dict[str, Any]:
    """What is wanted of faults: of a profile, what its own checks can keep."""
    if lab.topology.proxy != "profile":
        # The bounds of the configuration that `generate` writes, for a freeze and for lost packets.
        detection_s, recovery_s = (12.0, 6.0) if lab.topology.sample else (5.0, 5.0)
        return {"max_detection_s": detection_s, "max_recovery_s": recovery_s, "cut_sessions": True}
    checks, listen = _checks(config), config.listens[0]
    faults = ("kill", "freeze", "unreachable")
    assert checks is not None  # every profile with a proxy of its own checks its servers
    return {
        "max_detection_s": max(detection_bounds.detection_s(checks, fault) for fault in faults),
        "max_recovery_s": max(detection_bounds.recovery_s(checks, fault) for fault in faults),
        "cut_sessions": any("on-marked-down" in word for word in listen.servers[0].words),
        "tcp_keepalive": "tcpka" in listen.options,
    }
