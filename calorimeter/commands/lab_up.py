"""`calorimeter lab up`: bring a lab up in one of its many shapes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calorimeter.commands.lab_options import (
    COUNT,
    NAME,
    PORT,
    PROXY_OPTIONS,
    WordsParam,
    choice,
    daemons,
    given,
    option,
    say,
    with_options,
)
from calorimeter.commands.lab_profiles import set_by_profile
from calorimeter.commands.param_types import NumberParam
from calorimeter.core import bounds

if TYPE_CHECKING:
    from calorimeter.lab.lab_topology import LabTopology

SAMPLE_ENGINES = 4

PROFILES = ("guide", "kolla", "osa", "charm")

PROGRAM = click.Path(dir_okay=False, path_type=Path)

PROFILE = option("--profile", "Roll out what a deployment tool does; other options that are given win; see "
                 "`calorimeter lab profiles` (default: none).", type=click.Choice(PROFILES))  # fmt: skip

HEAT_OPTIONS = (
    option("--rest", "Number of REST APIs (default: 2).", type=COUNT),
    option("--cfn", "Number of CFN APIs (default: 2).", type=COUNT),
    option("--engines", "Number of heat-engine processes (default: 3; in the sample 4).", type=COUNT),
    option("--engines-per-host", "Number of engines that share a host name and a heat.conf (default: 1).",
           type=COUNT),
    option("--workers", "Worker processes of each engine (default: 1).", type=COUNT),
    choice("--heat", "Release of Heat.", "24", "25", "26", "27"),
    choice("--serve", "Server of the APIs: heat-api and heat-api-cfn themselves, or a WSGI server; wsgi is "
           "gunicorn.", "eventlet", "gunicorn", "uwsgi", "wsgi",
           default="eventlet for Heat 24, else gunicorn"),
    option("--rpc-timeout", "Heat's rpc_response_timeout in seconds (default: 20; guide's proxy: 60).",
           type=NumberParam(bounds.TIMEOUT_OF_RPC)),
    option("--engine-threads", "executor_thread_pool_size of the engines (default: Heat's, 64).",
           type=NumberParam(bounds.THREADS)),
    choice("--health", "Health check of the APIs: Heat's own, or one that pings the engines by RPC.",
           "shallow", "rpc"),
)  # fmt: skip

BROKER_OPTIONS = (
    option("--brokers", "Number of RabbitMQ nodes, 1, 3 or 5 (default: 1).",
           type=NumberParam(bounds.LAB_BROKERS)),
    choice("--partition-handling", "What a cluster does when its nodes lose one another.",
           "pause_minority", "autoheal", "ignore"),
    choice("--messaging", "Queues of Heat: classic, classic and durable, quorum, or all that "
           "oslo.messaging recommends.",
           "classic", "durable", "quorum", "recommended"),
    option("--prefetch", "Messages that an engine holds unacknowledged (default: no limit; with "
           "recommended messaging 50).", type=NumberParam(bounds.PREFETCH)),
)  # fmt: skip

PLACE_OPTIONS = (
    option("--proxies", "Number of proxies; 2 share a virtual address by keepalived, on hosts of their "
           "own; needs root (default: 1).", type=NumberParam(bounds.LAB_PROXIES)),
    option("--peers", "Share stick tables between the two proxies.", is_flag=True, default=None),
    option("--tls", "TLS at the proxy's fronts, on its way to the APIs, and at the broker.",
           type=WordsParam("proxy", "backends", "broker")),
    option("--sample", "Sample deployment: the guide's machines A, B and C as network namespaces with the "
           "guide's addresses; needs root (default: none, all on loopback).",
           type=click.Choice(["guide"])),
    option("--haproxy", "Absolute path of a haproxy to run, 2.2 or later (default: the system's).",
           type=PROGRAM),
    option("--rabbitmq", "Absolute path of a sbin/rabbitmq-server to run, 3.10 or later (default: the "
           "system's).", type=PROGRAM),
    option("--rest-port", "Port of the proxy for REST (default: a free one).", type=PORT),
    option("--cfn-port", "Port of the proxy for CFN (default: a free one).", type=PORT),
)  # fmt: skip


@click.command(
    short_help="Bring a lab up, and wait until it serves.",
    epilog="Example: calorimeter lab up --rest 3 --cfn 3 --engines 4",
)
@NAME
@with_options(PROFILE, *HEAT_OPTIONS, *PROXY_OPTIONS, *BROKER_OPTIONS, *PLACE_OPTIONS)
def up(rest_port: int | None, cfn_port: int | None, **asked: Any) -> None:
    """Bring a lab up, and wait until all of it serves."""
    from calorimeter.lab import bring_up, combinations

    ports = given({"rest": rest_port, "cfn": cfn_port})
    wanted = topology(given(asked))
    combinations.check(wanted, ports)
    for line in set_by_profile(wanted):
        say(line)
    with daemons():
        started = bring_up.up(wanted, ports, say)
    click.echo(f"REST        {started.url('rest')}/v1")
    click.echo(f"CFN         {started.url('cfn')}/v1")
    click.echo(f"deployment  {started.deployment}")
    click.echo(f"a client    calorimeter lab exec --name {started.topology.name} openstack stack list")


def topology(asked: Mapping[str, Any]) -> LabTopology:
    """The topology of the options that were given; those that were not have their defaults."""
    from calorimeter.lab import lab_profile, own_build
    from calorimeter.lab.lab_topology import LabTopology

    wanted = dict(asked)
    if wanted.get("serve") == "wsgi":
        wanted["serve"] = "gunicorn"
    if "sample" in wanted:
        wanted.setdefault("engines", SAMPLE_ENGINES)
    if "profile" in wanted:
        wanted = lab_profile.topology_options(wanted["profile"], wanted)
    for key, program in (("haproxy", own_build.HAPROXY), ("rabbitmq", own_build.RABBITMQ)):
        if key in wanted:
            wanted[key] = own_build.checked(wanted[key], program)
    return LabTopology(**wanted)
