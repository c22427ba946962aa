"""`calorimeter lab …`: bring a real scaled-out Heat up on this machine, and take it down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from calorimeter.commands.param_types import NumberParam, NumbersParam
from calorimeter.core import bounds, terminal
from calorimeter.core.errors import InputError, unknown

COUNT = NumberParam(bounds.LAB_COUNT)
PORT = NumberParam(bounds.PORT)
CONNECTIONS = NumberParam(bounds.LAB_CONNECTIONS)


@click.group()
def lab() -> None:
    """Bring a real scaled-out Heat up on this machine, and take it down.

    Keystone, RabbitMQ, MariaDB, memcached, HAProxy and Heat's own programs run as private daemons on
    loopback, with their own folder, ports and passwords. The system's own daemons are not touched.
    """


def _command(line: str, example: str, name: str | None = None, **attributes: Any) -> Callable[..., Any]:
    """A command of `lab`: its line in the overview, and the example at the end of its help."""
    return lab.command(name, short_help=line, epilog=f"Example: calorimeter lab {example}", **attributes)


def _option(name: str, text: str, **attributes: Any) -> Callable[..., Any]:
    """An option that shows its default, if it has one."""
    return click.option(name, help=text, **{"show_default": "default" in attributes, **attributes})


def _choice(name: str, text: str, *values: str) -> Callable[..., Any]:
    """An option that takes one of `values`; the first is the default."""
    return _option(name, text, type=click.Choice(values), default=values[0])


NAME = _option("--name", "Name of the lab.", default="lab")


class TimeoutsParam(click.ParamType[dict[str, str]]):
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
    """Add the options that shape the proxy."""
    for option in reversed(_PROXY_OPTIONS):
        command = option(command)
    return command


_PROXY_OPTIONS = (
    _option("--proxy", "Proxy configuration: the guide's to the letter, or the same with health checks.",
            type=click.Choice(["guide", "checked"]), default="checked"),
    _choice("--balance", "`balance` of both sections.", "source", "roundrobin", "leastconn"),
    _option("--hash-type", "`hash-type` for `balance source` (default: that of --proxy).",
            type=click.Choice(["map-based", "consistent"])),
    _option("--weights", "Weights of the servers, such as 1,2,1 (default: all equal).",
            type=NumbersParam("W,W,…", bounds.HAPROXY_WEIGHT), default=(), show_default=False),
    _choice("--mode", "HAProxy mode of both sections.", "tcp", "http"),
    _option("--timeouts", "Timeouts of the proxy that differ from the guide's, such as client=2s,server=3s "
            "(default: none).", type=TimeoutsParam(), default="", show_default=False),
    _option("--maxconn", "maxconn of the whole proxy (default: the guide's).", type=CONNECTIONS),
    _option("--server-maxconn", "maxconn of each server (default: no limit).", type=CONNECTIONS),
)  # fmt: skip


@_command("Bring a lab up, and wait until it serves.", "up --rest 3 --cfn 3 --engines 4")
@_option("--sample", "Sample deployment: the guide's machines A, B and C as network namespaces with the "
         "guide's addresses; needs root (default: none, all on loopback).",
         type=click.Choice(["guide"]))  # fmt: skip
@_option("--rest", "Number of REST APIs (heat-api).", type=COUNT, default=2)
@_option("--cfn", "Number of CFN APIs (heat-api-cfn).", type=COUNT, default=2)
@_option("--engines", "Number of engines (heat-engine) (default: 3; in the sample 4).", type=COUNT)
@_option("--workers", "Worker processes of each engine.", type=COUNT, default=1)
@_proxy_options
@_choice("--queues", "Type of RabbitMQ's queues.", "classic", "quorum")
@_choice("--serve", "Server of the APIs: heat-api and heat-api-cfn themselves, or gunicorn (WSGI).",
         "eventlet", "wsgi")  # fmt: skip
@_option("--rpc-timeout", "Heat's rpc_response_timeout in seconds (default: 20; guide's proxy: 60).",
         type=NumberParam(bounds.TIMEOUT_OF_RPC))  # fmt: skip
@_option("--engine-threads", "executor_thread_pool_size of the engines (default: Heat's, 64).",
         type=NumberParam(bounds.THREADS))  # fmt: skip
@_choice("--health", "Health check of the APIs: Heat's own, or one that pings the engines by RPC.",
         "shallow", "rpc")  # fmt: skip
@NAME
@_option("--rest-port", "Port of the proxy for REST (default: a free one).", type=PORT)
@_option("--cfn-port", "Port of the proxy for CFN (default: a free one).", type=PORT)
def up(rest_port: int | None, cfn_port: int | None, **asked: Any) -> None:
    """Bring a lab up, and wait until all of it serves."""
    from calorimeter.lab import bring_up
    from calorimeter.lab.lab_state import LabTopology

    _check_weights(asked["weights"], max(asked["rest"], asked["cfn"]))
    ports = {name: port for name, port in (("rest", rest_port), ("cfn", cfn_port)) if port is not None}
    if asked["sample"]:
        _check_sample(asked["rest"], asked["cfn"], ports)
    asked["engines"] = asked["engines"] or (4 if asked["sample"] else 3)
    with _daemons():
        started = bring_up.up(LabTopology(**asked), ports, _say)
    click.echo(f"REST        {started.url('rest')}/v1")
    click.echo(f"CFN         {started.url('cfn')}/v1")
    click.echo(f"deployment  {started.deployment}")
    if started.topology.sample:
        click.echo(f"a client    calorimeter lab exec --name {started.topology.name} openstack stack list")
    else:
        client = f"OS_CLIENT_CONFIG_FILE={started.clouds} {started.programs.heat('openstack')}"
        click.echo(f"a client    {client} --os-cloud calorimeter stack list")


def _check_sample(rest: int, cfn: int, ports: dict[str, int]) -> None:
    """Refuse other numbers and ports than the sample's: it has one API of each kind on B and one on C."""
    for option, given in (("--rest", rest), ("--cfn", cfn)):
        if given != 2:
            raise InputError(
                option, f"{given} given with --sample guide", "valid: 2, one on B and one on C"
            )
    for api in ports:
        raise InputError(
            f"--{api}-port", "given with --sample guide", "valid: without it; the port is the guide's"
        )


@_command("Run a command on a host of a sample.", "exec openstack stack list", "exec",
          context_settings={"ignore_unknown_options": True})  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@_option("--host", "Host of the sample: A, B, C, client-1 or client-2.", default="client-1")
@NAME
def exec_(command: tuple[str, ...], host: str, name: str) -> None:
    """Run COMMAND on a host of a sample, as the user of the lab (with $OS_AUTH_URL and the like).

    Exit status: that of COMMAND.
    """
    from calorimeter.lab.sample import visitor

    visitor.run(name, host, command)


@_command("Show the state of each part of the labs on this machine.", "status --json", "status")
@_option("--name", "Name of the lab (default: all labs).")
@_option("--json", "JSON output, for programs (default: a table).", is_flag=True)
def status_(name: str | None, json: bool) -> None:
    """Show the state of each part of the labs on this machine.

    Exit status: 0 every part runs; 1 a part does not; 2 there is no such lab.
    """
    from json import dumps

    from calorimeter.lab import lab_state, status

    if name is not None:
        lab_state.read(lab_state.folder(name))
    found = [status.status(each) for each in ([name] if name else lab_state.names())]
    if json:
        click.echo(dumps(found, indent=2))
    elif not found:
        click.echo("no lab is up", err=True)
    else:
        click.echo("\n\n".join(status.table(each) for each in found))
    if any(part["state"] != "running" for each in found for part in each["parts"]):
        raise click.exceptions.Exit(1)


@_command("Take a lab down, with all its processes and files.", "down --all")
@NAME
@_option("--all", "Every lab on this machine (default: only the one named).", is_flag=True)
def down(name: str, all: bool) -> None:
    """Take a lab down: end its processes, free its ports, remove its files, also after a crash of `up`."""
    from calorimeter.lab import lab_state, take_down

    for each in lab_state.names(whole=False) if all else [name]:
        with _daemons():
            was_up = take_down.down(lab_state.folder(each))
        click.echo(f"lab {each} is down" if was_up else f"no lab named {each!r} is up", err=True)


@_command("Print the end of a daemon's log.", "logs engine-1 --lines 200")
@click.argument("daemon", required=False)
@NAME
@_option("--lines", "Number of lines.", type=NumberParam(bounds.LINES), default=50)
def logs(daemon: str | None, name: str, lines: int) -> None:
    """Print the end of the log of DAEMON; without DAEMON, the paths of all logs."""
    from calorimeter.lab import lab_state
    from calorimeter.lab.daemons.daemon import tail

    folder = lab_state.folder(name) / "logs"
    lab_state.read(folder.parent)
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if daemon is None:
        for path in found.values():
            click.echo(str(path))
        return
    if daemon not in found:
        raise unknown(f"lab {name}", "daemon", daemon, found)
    click.echo(tail(found[daemon], lines))


@_command("Add or remove APIs and engines.", "scale --engines 5")
@_option("--rest", "Number of REST APIs (default: unchanged).", type=COUNT)
@_option("--cfn", "Number of CFN APIs (default: unchanged).", type=COUNT)
@_option("--engines", "Number of engines (default: unchanged).", type=COUNT)
@NAME
def scale(name: str, **counts: int | None) -> None:
    """Add or remove APIs and engines while the lab runs."""
    from calorimeter.lab import lab_state, resize

    asked = {what: count for what, count in counts.items() if count is not None}
    if not asked:
        raise click.UsageError("no number given; give --rest N, --cfn N or --engines N")
    opened = lab_state.open_lab(name)
    for what in ("rest", "cfn"):
        if opened.topology.sample and what in asked:
            raise InputError(f"--{what}", f"{asked[what]} given for a sample", "valid: --engines alone")
    opened.enter_network()
    with _daemons():
        resize.resize(name, asked, _say)


@_command("Inject a fault into one part of a lab, or heal it.", "part rest-1 kill")
@click.argument("part")
@click.argument("action")
@NAME
def part(part: str, action: str, name: str) -> None:
    """Do ACTION to PART: kill, stop, start, freeze, thaw, drain, undrain.

    To an API also: unreachable and reachable (its packets are dropped), slow and fast (every answer comes
    3 s late), errors and no-errors (every answer is 503), refuse-checks and allow-checks (503 at
    /healthcheck alone), cut-off and join (its packets to RabbitMQ are dropped). Dropping packets needs
    root, nftables and conntrack.

    Prints the time at which the action took effect, in ns since the epoch. A fault in a part that does not
    run is an error; healing a part that runs is not.
    """
    from calorimeter.lab import lab_state, parts

    opened = lab_state.open_lab(name)
    opened.enter_network()
    with _daemons():
        at = parts.act(opened, part, action)
    click.echo(f"{part} {action} at_ns={at}")


@_command("Print processor time and memory of each part.", "usage")
@NAME
def usage(name: str) -> None:
    """Print processor time and memory of each part once a second, until standard input is closed.

    `calorimeter run` records it during a load. Each line is a JSON object: `t_ns`, and `processes` with
    `part`, `cpu_s` (so far) and `rss_bytes` (a page that processes share is counted for each of them).
    """
    import json
    import sys

    from calorimeter.lab import lab_state
    from calorimeter.lab.usage import polls

    for reading in polls(lab_state.open_lab(name), sys.stdin):
        print(json.dumps(reading), flush=True)
        if terminal.reader_is_gone():
            return


@_command("Give a running lab another proxy configuration.", "proxy --balance leastconn")
@_proxy_options
@NAME
def proxy(name: str, **asked: Any) -> None:
    """Give a running lab another proxy configuration; options that are not given have their defaults.

    The lab's deployment.toml describes the new configuration. A sabotage of the proxy ends.
    """
    from calorimeter.lab import lab_state
    from calorimeter.lab.sabotage import proxy_sabotage

    opened = lab_state.open_lab(name)
    opened.enter_network()
    _check_weights(asked["weights"], max(opened.topology.rest, opened.topology.cfn))
    with _daemons():
        proxy_sabotage.reshape(name, asked)
    click.echo(f"lab {name} has the new proxy configuration", err=True)


@_command("Break a lab in one way that gates must find.", "sabotage roundrobin", "sabotage")
@click.argument("what", required=False)
@NAME
def sabotage_(what: str | None, name: str) -> None:
    """Break a lab in one way that gates must find; without WHAT, list the ways and those gates.

    The lab's deployment.toml is not changed: it describes what should be. `lab heal` ends a sabotage.
    """
    from calorimeter.lab import lab_state
    from calorimeter.lab.sabotage import engine_sabotage, proxy_sabotage
    from calorimeter.lab.sabotage.found_by import FOUND_BY

    ways = {key: each.what for key, each in proxy_sabotage.SABOTAGES.items()}
    ways |= {key: each.what for key, each in engine_sabotage.ENGINE_SABOTAGES.items()}
    if what is None:
        for key, text in ways.items():
            click.echo(f"{key:<16} {text} ({' '.join(FOUND_BY[key])})")
        return
    if what not in ways:
        raise unknown("lab sabotage", "sabotage", what, ways)
    lab_state.open_lab(name).enter_network()
    with _daemons():
        if what in engine_sabotage.ENGINE_SABOTAGES:
            engine_sabotage.sabotage(name, what)
        else:
            proxy_sabotage.sabotage(name, what)
    click.echo(f"lab {name} is sabotaged ({what}): {ways[what]}", err=True)


@_command("End a sabotage.", "heal")
@NAME
def heal(name: str) -> None:
    """End a sabotage: configure the proxy and the engines as the lab's deployment.toml describes them."""
    from calorimeter.lab import lab_state
    from calorimeter.lab.sabotage import engine_sabotage, proxy_sabotage

    lab_state.open_lab(name).enter_network()
    with _daemons():
        engine_sabotage.heal(name)
        proxy_sabotage.heal(name)
    click.echo(f"lab {name} is healed", err=True)


def _check_weights(weights: tuple[int, ...], servers: int) -> None:
    if len(weights) > servers:
        raise InputError("--weights", f"{len(weights)} given", f"valid: at most {servers} (servers)")


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _daemons() -> Iterator[None]:
    """Report a daemon that failed as unusable input, with the end of its log."""
    from calorimeter.lab.daemons.daemon import DaemonError

    try:
        yield
    except DaemonError as problem:
        if problem.tail:
            click.echo(f"the end of the log of {problem.part}:\n{problem.tail}\n", err=True)
        raise InputError(f"lab: {problem.part}", problem.what) from problem
    except OSError as problem:
        raise InputError(str(problem.filename or "lab"), str(problem.strerror or problem)) from problem
