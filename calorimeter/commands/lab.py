"""`calorimeter lab …`: bring a real scaled-out Heat up on this machine, and take it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from calorimeter.core.errors import InputError, unknown

COUNT = click.IntRange(1, 64)
PORT = click.IntRange(1, 65535)

NAME = click.option("--name", default="lab", show_default=True, help="Which lab, where there are several.")


@click.group()
def lab() -> None:
    """Bring a real scaled-out Heat up on this machine, and take it down.

    Keystone, RabbitMQ, MariaDB, memcached, HAProxy and Heat's own programs run as private daemons on
    loopback, with their own folder, ports and passwords; nothing of the system is touched.
    """


class Weights(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """`1,2,1`: weights of the servers, in order."""

    name = "W,W,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """A tuple of numbers from 0 to 256, as HAProxy allows."""
        if isinstance(value, tuple):
            return value
        words = str(value).split(",")
        if not all(word.strip().isdigit() and int(word) <= 256 for word in words):
            self.fail(f"{value!r} given; valid: numbers from 0 to 256 such as 1,2,1", param, ctx)
        return tuple(int(word) for word in words)


class Timeouts(click.ParamType[dict[str, str]]):
    """`client=2s,server=3s`: timeouts of the proxy by their names."""

    name = "NAME=TIME,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Name → time, as HAProxy writes them."""
        from calorimeter.config.haproxy.haproxy_writer import GUIDE_TIMEOUTS
        from calorimeter.config.haproxy.units import seconds

        if isinstance(value, dict):
            return value
        found = {}
        for word in filter(None, str(value).split(",")):
            key, _, time = word.strip().partition("=")
            try:
                seconds(time)
            except ValueError as problem:
                self.fail(str(problem), param, ctx)
            if key not in GUIDE_TIMEOUTS:
                self.fail(f"unknown timeout {key!r}; valid: {', '.join(GUIDE_TIMEOUTS)}", param, ctx)
            found[key] = time
        return found


def _proxy_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that shape the proxy."""
    for option in reversed(_PROXY_OPTIONS):
        command = option(command)
    return command


_PROXY_OPTIONS = (
    click.option(
        "--proxy",
        type=click.Choice(["guide", "checked"]),
        default="checked",
        show_default=True,
        help="The guide's proxy to the letter, or the same with health checks.",
    ),
    click.option(
        "--balance",
        type=click.Choice(["source", "roundrobin", "leastconn"]),
        default="source",
        show_default=True,
        help="How the proxy chooses a server.",
    ),
    click.option(
        "--hash-type", type=click.Choice(["map-based", "consistent"]), help="Of `balance source`."
    ),
    click.option("--weights", type=Weights(), default=(), help="Weights of the servers, such as 1,2,1."),
    click.option(
        "--mode", type=click.Choice(["tcp", "http"]), default="tcp", show_default=True, help="Of the proxy."
    ),
    click.option(
        "--timeouts",
        type=Timeouts(),
        default="",
        help="The proxy's timeouts where not the guide's, such as client=2s,server=3s.",
    ),
    click.option("--maxconn", type=click.IntRange(1, 65535), help="Of the whole proxy; else the guide's."),
    click.option("--server-maxconn", type=click.IntRange(1, 65535), help="Of each server; else none."),
)


@lab.command(short_help="Bring a lab up, and wait until it serves.")
@click.option(
    "--sample",
    type=click.Choice(["guide"]),
    help="The guide's sample: machines A, B and C as network namespaces with its addresses (needs root).",
)
@click.option("--rest", type=COUNT, default=2, show_default=True, help="REST APIs (heat-api).")
@click.option("--cfn", type=COUNT, default=2, show_default=True, help="CFN APIs (heat-api-cfn).")
@click.option("--engines", type=COUNT, help="Engines (heat-engine): 3 if not said, 4 in the sample.")
@click.option(
    "--workers", type=COUNT, default=1, show_default=True, help="Worker processes of each engine."
)
@_proxy_options
@click.option(
    "--queues",
    type=click.Choice(["classic", "quorum"]),
    default="classic",
    show_default=True,
    help="RabbitMQ's kind of queue.",
)
@click.option(
    "--serve",
    type=click.Choice(["eventlet", "wsgi"]),
    default="eventlet",
    show_default=True,
    help="What the APIs run under: heat-api and heat-api-cfn themselves, or gunicorn (WSGI).",
)
@click.option(
    "--rpc-timeout",
    type=click.IntRange(2, 3600),
    help="Heat's rpc_response_timeout in seconds; else 20, with the guide's proxy 60.",
)
@click.option(
    "--engine-threads",
    type=click.IntRange(1, 1024),
    help="Heat's executor_thread_pool_size in the engines; else its default, 64.",
)
@click.option(
    "--health",
    type=click.Choice(["shallow", "rpc"]),
    default="shallow",
    show_default=True,
    help="The APIs' health check: Heat's own, or one that pings the engines by RPC.",
)
@NAME
@click.option("--rest-port", type=PORT, help="The proxy's port for REST; else one that is free.")
@click.option("--cfn-port", type=PORT, help="The proxy's port for CFN; else one that is free.")
def up(rest_port: int | None, cfn_port: int | None, **asked: Any) -> None:
    """Bring a lab up, and wait until all of it serves."""
    from calorimeter.lab import bring_up
    from calorimeter.lab.topology import Topology

    _check_weights(asked["weights"], max(asked["rest"], asked["cfn"]))
    wanted = {name: port for name, port in (("rest", rest_port), ("cfn", cfn_port)) if port is not None}
    if asked["sample"]:
        _check_sample(asked["rest"], asked["cfn"], wanted)
    asked["engines"] = asked["engines"] or (4 if asked["sample"] else 3)
    with _daemons():
        made = bring_up.up(Topology(**asked), wanted, _say)
    click.echo(f"REST        {made.url('rest')}/v1")
    click.echo(f"CFN         {made.url('cfn')}/v1")
    click.echo(f"deployment  {made.deployment}")
    if made.topology.sample:
        click.echo(f"a client    calorimeter lab exec --name {made.topology.name} openstack stack list")


def _check_sample(rest: int, cfn: int, wanted: dict[str, int]) -> None:
    """The guide's sample has one API of each kind on B and on C, at the guide's addresses."""
    for option, given, valid in (("--rest", rest, 2), ("--cfn", cfn, 2)):
        if given != valid:
            raise InputError(
                option, f"{given} given with --sample guide", f"valid: {valid}, one on B and one on C"
            )
    for api in wanted:
        raise InputError(
            f"--{api}-port", "given with --sample guide", "valid: without it; the port is the guide's"
        )


@lab.command(
    name="exec",
    context_settings={"ignore_unknown_options": True},
    short_help="Run a command on a host of a sample.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option("--host", default="client-1", show_default=True, help="A, B, C, client-1 or client-2.")
@NAME
def exec_(command: tuple[str, ...], host: str, name: str) -> None:
    """Run COMMAND on a host of a sample, as the user of the lab ($OS_AUTH_URL and the like are set).

    Status as the command's.
    """
    from calorimeter.lab.sample import visitor

    visitor.run(name, host, command)


@lab.command("status", short_help="What of the labs on this machine is running.")
@click.option("--name", help="Only this lab.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def status_(name: str | None, as_json: bool) -> None:
    """Say what of the labs on this machine is running; status 1 where something is not."""
    import json

    from calorimeter.lab import status, topology

    if name is not None:
        topology.read(topology.folder(name))
    found = [status.status(each) for each in ([name] if name else topology.names())]
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif not found:
        click.echo("no lab is up", err=True)
    else:
        click.echo("\n\n".join(status.table(each) for each in found))
    if any(part["state"] != "running" for each in found for part in each["parts"]):
        raise click.exceptions.Exit(1)


@lab.command(short_help="Take a lab down; nothing of it is left.")
@NAME
@click.option("--all", "everything", is_flag=True, help="Every lab on this machine.")
def down(name: str, everything: bool) -> None:
    """Take a lab down: no process, port or file of it is left, also after a crash of `up`."""
    from calorimeter.lab import take_down, topology

    wanted = topology.names(whole=False) if everything else [name]
    for each in wanted:
        with _daemons():
            there = take_down.down(topology.folder(each))
        click.echo(f"lab {each} is down" if there else f"no lab named {each!r} is up", err=True)


@lab.command(short_help="Print the end of a daemon's log.")
@click.argument("daemon", required=False)
@NAME
@click.option(
    "--lines", type=click.IntRange(1), default=50, show_default=True, help="How many of its last."
)
def logs(daemon: str | None, name: str, lines: int) -> None:
    """Print the end of a daemon's log, or where all logs are."""
    from calorimeter.lab import topology
    from calorimeter.lab.daemons.daemon import tail

    folder = topology.folder(name) / "logs"
    topology.read(folder.parent)
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if daemon is None:
        for path in found.values():
            click.echo(str(path))
        return
    if daemon not in found:
        raise unknown(f"lab {name}", "daemon", daemon, found)
    click.echo(tail(found[daemon], lines))


@lab.command(short_help="Add or remove APIs and engines.")
@click.option("--rest", type=COUNT, help="How many REST APIs there shall be.")
@click.option("--cfn", type=COUNT, help="How many CFN APIs there shall be.")
@click.option("--engines", type=COUNT, help="How many engines there shall be.")
@NAME
def scale(name: str, **wanted: int | None) -> None:
    """Add or remove APIs and engines while the lab runs."""
    from calorimeter.lab import topology
    from calorimeter.lab.resize import resize

    asked = {what: count for what, count in wanted.items() if count is not None}
    if not asked:
        raise click.UsageError("how many? give --rest N, --cfn N or --engines N")
    known = topology.opened(name)
    for what in ("rest", "cfn"):
        if known.topology.sample and what in asked:
            raise InputError(f"--{what}", f"{asked[what]} given for a sample", "valid: --engines alone")
    known.enter_network()
    with _daemons():
        resize(name, asked, _say)


@lab.command(short_help="Break or bring back one part of a lab.")
@click.argument("part")
@click.argument("action")
@NAME
def part(part: str, action: str, name: str) -> None:
    """Do something to one part: kill, stop, start, freeze, thaw, drain, undrain.

    To an API also: unreachable and reachable (packets vanish), slow and fast (every answer comes 3 s late),
    errors and no-errors (every answer is 503), refuse-checks and allow-checks (503 at /healthcheck alone),
    cut-off and join (packets to RabbitMQ vanish). Those with packets need root, nftables and conntrack.

    Prints the moment at which it took effect, in ns since the epoch. Breaking what is not running is an
    error; bringing back what is running is not.
    """
    from calorimeter.lab import parts, topology

    known = topology.opened(name)
    known.enter_network()
    with _daemons():
        at = parts.act(known, part, action)
    click.echo(f"{part} {action} at_ns={at}")


@lab.command(short_help="Print processor and memory of each part.")
@NAME
def usage(name: str) -> None:
    """Print what each part uses of processor and memory, once a second until standard input is closed.

    `calorimeter run` records it beside a load. One JSON object a line: `t_ns`, and `processes` with `part`,
    `cpu_s` (so far) and `rss_bytes` (pages that processes share are counted for each of them).
    """
    import json
    import sys

    from calorimeter.lab import topology
    from calorimeter.lab.usage import polls

    for poll in polls(topology.opened(name), sys.stdin):
        print(json.dumps(poll), flush=True)


@lab.command(short_help="Give a running lab another proxy.")
@_proxy_options
@NAME
def proxy(name: str, **asked: Any) -> None:
    """Give a running lab another proxy: what is not asked for is as in `lab up` without options.

    Its deployment.toml describes the new one. A sabotage of the proxy ends with it.
    """
    from calorimeter.lab import topology
    from calorimeter.lab.sabotage import proxy_sabotage

    opened = topology.opened(name)
    opened.enter_network()
    _check_weights(asked["weights"], max(opened.topology.rest, opened.topology.cfn))
    with _daemons():
        proxy_sabotage.reshape(name, asked)


@lab.command(name="sabotage", short_help="Make a lab wrong in one way.")
@click.argument("what", required=False)
@NAME
def sabotage_(what: str | None, name: str) -> None:
    """Sabotage a lab in one way, which some gates must find; without WHAT, list the ways.

    The lab's deployment.toml stays as it is: it describes what should be. `lab heal` ends a sabotage.
    """
    from calorimeter.lab import topology
    from calorimeter.lab.sabotage import engine_sabotage, proxy_sabotage

    ways = {key: each.what for key, each in proxy_sabotage.SABOTAGES.items()}
    ways |= {key: each.what for key, each in engine_sabotage.ENGINE_SABOTAGES.items()}
    if what is None:
        for key, said in ways.items():
            click.echo(f"{key:<24} {said}")
        return
    if what not in ways:
        raise unknown("lab sabotage", "sabotage", what, ways)
    topology.opened(name).enter_network()
    with _daemons():
        if what in engine_sabotage.ENGINE_SABOTAGES:
            engine_sabotage.sabotage(name, what)
        else:
            proxy_sabotage.sabotage(name, what)


@lab.command(short_help="End a sabotage.")
@NAME
def heal(name: str) -> None:
    """End a sabotage: the proxy and the engines are as the lab's deployment.toml says."""
    from calorimeter.lab import topology
    from calorimeter.lab.sabotage import engine_sabotage, proxy_sabotage

    topology.opened(name).enter_network()
    with _daemons():
        engine_sabotage.heal(name)
        proxy_sabotage.heal(name)


def _check_weights(weights: tuple[int, ...], servers: int) -> None:
    if len(weights) > servers:
        raise InputError("--weights", f"{len(weights)} given", f"valid: at most {servers} (servers)")


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _daemons() -> Iterator[None]:
    """Say which daemon failed, with the end of its log, as input that cannot be used."""
    from calorimeter.lab.daemons.daemon import DaemonError

    try:
        yield
    except DaemonError as problem:
        if problem.tail:
            click.echo(f"the end of the log of {problem.part}:\n{problem.tail}\n", err=True)
        raise InputError(f"lab: {problem.part}", problem.what) from problem
    except OSError as problem:
        raise InputError(str(problem.filename or "lab"), str(problem.strerror or problem)) from problem
