"""`calorimeter lab …`: bring a real scaled-out Heat up on this machine, and take it down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from calorimeter.commands.lab_options import (
    COUNT,
    NAME,
    PROXY_OPTIONS,
    daemons,
    given,
    open_lab,
    option,
    say,
    with_options,
)
from calorimeter.commands.lab_profiles import profiles
from calorimeter.commands.lab_up import up
from calorimeter.commands.lab_upgrade import upgrade
from calorimeter.commands.param_types import NumberParam
from calorimeter.core import bounds, terminal
from calorimeter.core.errors import InputError, unknown


@click.group()
def lab() -> None:
    """Bring a real scaled-out Heat up on this machine, and take it down.

    Keystone, RabbitMQ, MariaDB, memcached, HAProxy and Heat's own programs run as private daemons on
    loopback, with their own folder, ports and passwords. The system's own daemons are not touched.
    """


def _command(line: str, example: str, name: str | None = None, **attributes: Any) -> Callable[..., Any]:
    """A command of `lab`: its line in the overview, and the example at the end of its help."""
    return lab.command(name, short_help=line, epilog=f"Example: calorimeter lab {example}", **attributes)


lab.add_command(up)
lab.add_command(profiles)
lab.add_command(upgrade)


HOST = option(
    "--host",
    "Host: of a sample A, B, C, client-1 or client-2; of a pair of proxies P1, P2, A, B, C or client-1 "
    "(default: client-1; other labs have no hosts).",
)


@_command("Run a command as the user of a lab.", "exec openstack stack list", "exec",
          context_settings={"ignore_unknown_options": True})  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@HOST
@NAME
def exec_(command: tuple[str, ...], host: str | None, name: str) -> None:
    """Run COMMAND as the user of a lab (with $OS_AUTH_URL and the like), on a host if the lab has hosts.

    Exit status: that of COMMAND.
    """
    from calorimeter.lab import visitor

    visitor.run(name, host, command)


@_command("Open a shell as the user of a lab.", "shell")
@HOST
@NAME
def shell(host: str | None, name: str) -> None:
    """Open $SHELL as the user of a lab, on a host if the lab has hosts: `openstack stack list` works in it.

    $OS_AUTH_URL and the like are set, no other OS_ variables are; `openstack` is on the path;
    $CALORIMETER_DEPLOYMENT is the lab's file. Its prompt begins with the lab's name. Nothing is written to
    a file. Exit status: that of the shell.
    """
    from calorimeter.lab import visitor

    visitor.shell(name, host)


@_command("Show the state of each part of the labs on this machine.", "status --json", "status")
@option("--name", "Name of the lab (default: all labs).")
@option("--json", "JSON output, for programs (default: a table).", is_flag=True)
def status_(name: str | None, json: bool) -> None:
    """Show the state of each part of the labs on this machine.

    Exit status: 0 every part runs; 1 a part does not; 2 there is no such lab.
    """
    from json import dumps

    from calorimeter.lab import lab_state, status

    if name is not None:
        lab_state.read(lab_state.folder(name))
    found, refused = [], []
    for each in [name] if name else lab_state.names():
        try:
            found.append(status.status(each))
        except InputError as problem:  # another lab's state is no reason to show none
            refused.append(str(problem))
    if json:
        click.echo(dumps(found, indent=2))
    elif found:
        click.echo("\n\n".join(status.table(each) for each in found))
    elif not refused:
        click.echo("no lab is up", err=True)
    for line in refused:
        click.echo(f"calorimeter: {line}", err=True)
    if refused or any(part["state"] != "running" for each in found for part in each["parts"]):
        raise click.exceptions.Exit(1)


@_command("Take a lab down, with all its processes and files.", "down --all")
@NAME
@option("--all", "Every lab on this machine (default: only the one named).", is_flag=True)
def down(name: str, all: bool) -> None:
    """Take a lab down: end its processes, free its ports, remove its files, also after a crash of `up`."""
    from calorimeter.lab import lab_state, take_down

    problems = []
    for each in lab_state.names(whole=False) if all else [name]:
        try:
            with daemons():
                was_up = take_down.down(lab_state.folder(each))
        except InputError as refused:  # the others can still go
            problems.append(refused)
        else:
            click.echo(f"lab {each} is down" if was_up else f"no lab named {each!r} is up", err=True)
    for problem in problems[:-1]:
        click.echo(f"calorimeter: {problem}", err=True)
    if problems:
        raise problems[-1]


@_command("Print the end of a part's log.", "logs engine-1 --lines 200")
@click.argument("part", required=False)
@NAME
@option("--lines", "Number of lines.", type=NumberParam(bounds.LINES), default=50)
def logs(part: str | None, name: str, lines: int) -> None:
    """Print the end of the log of PART; without PART, the paths of all logs."""
    from calorimeter.lab import lab_state
    from calorimeter.lab.daemons.daemon import tail

    folder = lab_state.folder(name) / "logs"
    lab_state.read(folder.parent)
    found = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if part is None:
        for path in found.values():
            click.echo(str(path))
        return
    if part not in found:
        raise unknown(f"lab {name}", "part", part, found)
    click.echo(tail(found[part], lines))


@_command("Add or remove APIs and engines.", "scale --engines 5")
@option("--rest", "Number of REST APIs (default: unchanged).", type=COUNT)
@option("--cfn", "Number of CFN APIs (default: unchanged).", type=COUNT)
@option("--engines", "Number of engines (default: unchanged).", type=COUNT)
@NAME
def scale(name: str, **counts: int | None) -> None:
    """Add or remove APIs and engines while the lab runs."""
    from calorimeter.lab import resize

    asked = given(counts)
    if not asked:
        raise click.UsageError("no number given; give --rest N, --cfn N or --engines N")
    opened = open_lab(name)
    for what in ("rest", "cfn"):
        if opened.topology.sample and what in asked:
            raise InputError(f"--{what}", f"{asked[what]} given for a sample", "valid: --engines alone")
    opened.enter_network()
    with daemons():
        resize.resize(name, asked, say)


@_command("Inject a fault into one part of a lab, or heal it.", "part rest-1 kill")
@click.argument("part")
@click.argument("action")
@NAME
def part(part: str, action: str, name: str) -> None:
    """Do ACTION to PART: kill, stop, start, freeze, thaw, drain, undrain.

    To an API also: unreachable and reachable (its packets are dropped), slow and fast (every answer comes
    3 s late), errors and no-errors (every answer is 503), refuse-checks and allow-checks (503 at
    /healthcheck alone), cut-off and join (its packets to RabbitMQ are dropped). To a node of a cluster of
    brokers also: partitioned and rejoined (its packets to and from the other nodes are dropped). Dropping
    packets needs root, nftables and conntrack.

    A node of a cluster that is started, thawed or rejoined is in one cluster with the others again when
    the command ends; RabbitMQ is restarted in it if that takes more.

    Prints the time at which the action took effect, in ns since the epoch. A fault in a part that does not
    run is an error; healing a part that runs is not.
    """
    from calorimeter.lab import parts

    opened = open_lab(name)
    opened.enter_network()
    with daemons():
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
@with_options(*PROXY_OPTIONS)
@NAME
def proxy(name: str, **asked: Any) -> None:
    """Give a running lab another proxy configuration; options that are not given have their defaults.

    The lab's deployment.toml describes the new configuration. A sabotage of the proxy ends.
    """
    from calorimeter.lab.sabotage import proxy_sabotage

    open_lab(name).enter_network()
    with daemons():
        proxy_sabotage.reshape(name, asked)
    click.echo(f"lab {name} has the new proxy configuration", err=True)


@_command("Break a lab in one way that gates must find.", "sabotage roundrobin", "sabotage")
@click.argument("what", required=False)
@NAME
def sabotage_(what: str | None, name: str) -> None:
    """Break a lab in one way that gates must find; without WHAT, list the ways and those gates.

    The lab's deployment.toml is not changed: it describes what should be. `lab heal` ends a sabotage.
    """
    from calorimeter.lab.sabotage import engine_sabotage, pair_sabotage, proxy_sabotage
    from calorimeter.lab.sabotage.found_by import FOUND_BY

    ways = {key: each.what for key, each in proxy_sabotage.SABOTAGES.items()}
    ways |= {key: each.what for key, each in engine_sabotage.ENGINE_SABOTAGES.items()}
    gates = {key: " ".join(FOUND_BY[key]) for key in ways}
    ways |= {key: each.what for key, each in pair_sabotage.PAIR_SABOTAGES.items()}
    gates |= {key: f"--proxies 2: {each.gate}" for key, each in pair_sabotage.PAIR_SABOTAGES.items()}
    if what is None:
        for key, text in ways.items():
            click.echo(f"{key:<16} {text} ({gates[key]})")
        return
    if what not in ways:
        raise unknown("lab sabotage", "sabotage", what, ways)
    open_lab(name).enter_network()
    with daemons():
        if what in engine_sabotage.ENGINE_SABOTAGES:
            engine_sabotage.sabotage(name, what)
        elif what in pair_sabotage.PAIR_SABOTAGES:
            pair_sabotage.sabotage(name, what)
        else:
            proxy_sabotage.sabotage(name, what)
    click.echo(f"lab {name} is sabotaged ({what}): {ways[what]}", err=True)


@_command("End a sabotage.", "heal")
@NAME
def heal(name: str) -> None:
    """End a sabotage: configure the proxy and the engines as the lab's deployment.toml describes them."""
    from calorimeter.lab.sabotage import engine_sabotage, pair_sabotage, proxy_sabotage

    open_lab(name).enter_network()
    with daemons():
        engine_sabotage.heal(name)
        proxy_sabotage.heal(name)
        pair_sabotage.heal(name)
    click.echo(f"lab {name} is healed", err=True)
