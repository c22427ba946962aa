"""Faults of an API beyond signals: lost packets, late or wrong answers, refused health checks, no broker.

nftables drops and redirects packets, on loopback only. Each fault has its own table, named after lab and
part, which matches that part's port or group. Taking the lab down removes the tables.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from calorimeter.core import files
from calorimeter.core.control.controlled_part import Injection
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.core.waiting import until
from calorimeter.lab import processes
from calorimeter.lab.daemons import daemon, health_check, heat
from calorimeter.lab.daemons.daemon import Daemon, DaemonError
from calorimeter.lab.lab_state import Lab

DELAY_S = 3.0
"""Delay of a slow part's answers; longer than the checked proxy's `timeout check`."""

RELAY = "127.0.0.2"
"""The relay's source address, so that its own connections are not redirected to it."""

HEALS = {
    "unreachable": "reachable",
    "slow": "fast",
    "errors": "no-errors",
    "refuse-checks": "allow-checks",
    "cut-off": "join",
}
"""Action that breaks an API → action that heals it."""


def available() -> tuple[str, ...]:
    """The faults that are available here; those on packets need root, nftables and conntrack."""
    return tuple(HEALS) if can_drop() and _tool("conntrack") is not None else ("refuse-checks",)


def can_drop() -> bool:
    """Whether packets can be dropped here: it needs root and nftables."""
    return os.geteuid() == 0 and _tool("nft") is not None


def injections(base: str) -> dict[str, Injection]:
    """The commands for `deployment.toml`; `base` is `calorimeter lab part … PART`."""
    return {
        fault: Injection(inject=f"{base} {fault}", heal=f"{base} {HEALS[fault]}") for fault in available()
    }


def act(lab: Lab, part: str, action: str) -> int:
    """Apply one of `ACTIONS` to an API, and return when it took effect (ns since the epoch)."""
    if heat.kind(part) not in ("rest", "cfn"):
        raise InputError(f"lab part {part}", f"does not support {action!r}", "valid: a REST or CFN part")
    if action in HEALS and not processes.running(lab.folder, part):
        raise processes.not_running(part)
    return ACTIONS[action](lab, part)


def clear(name: str) -> None:
    """Remove all tables of the lab called `name`."""
    for table in tables(name):
        remove_table(table, None)


def tables(name: str) -> list[str]:
    """The tables of the lab called `name`; empty without nftables or root."""
    nft = _tool("nft")
    if nft is None or os.geteuid() != 0:
        return []
    listed = subprocess.run([nft, "list", "tables"], capture_output=True, text=True, check=False)
    found = [line.rpartition(" ")[2] for line in listed.stdout.splitlines()]
    return [table for table in found if table.startswith(f"calorimeter.{name}.")]


def _tool(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def table_of(lab: Lab, part: str, fault: str) -> str:
    """The name of a fault's table."""
    return f"calorimeter.{lab.topology.name}.{part}.{fault}"


def run_nft(text: str, namespace: str | None) -> None:
    """Run an nftables script in a namespace (None: this one). Raises `InputError` if it fails."""
    nft = _tool("nft")
    if nft is None or os.geteuid() != 0:
        raise InputError("lab part", "packets cannot be dropped here", "it needs root and nftables")
    argv = netns.within(namespace, nft, "-f", "-")
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError("nft", " ".join(done.stderr.split())[:300])


def make_table(table: str, namespace: str | None, *chains: tuple[str, ...]) -> int:
    """Create or replace a table, and return the time just before (ns since the epoch).

    A chain is its type line (type, hook, priority) followed by its rules.
    """
    bodies = [
        f"  chain faults{number} {{\n" + "".join(f"    {line}\n" for line in chain) + "  }\n"
        for number, chain in enumerate(chains)
    ]
    at = time.time_ns()
    run_nft(
        f"add table inet {table}\ndelete table inet {table}\ntable inet {table} {{\n{''.join(bodies)}}}\n",
        namespace,
    )
    return at


def remove_table(table: str, namespace: str | None) -> int:
    """Remove a table, also one that is not there; ns since the epoch just before."""
    at = time.time_ns()
    run_nft(f"add table inet {table}\ndelete table inet {table}\n", namespace)
    return at


def _without_table(fault: str) -> Callable[[Lab, str], int]:
    return lambda lab, part: remove_table(table_of(lab, part, fault), lab.namespace(part))


def _unreachable(lab: Lab, part: str) -> int:
    port = lab.port(part)
    return make_table(
        table_of(lab, part, "unreachable"),
        lab.namespace(part),
        (
            "type filter hook input priority 0; policy accept;",
            f"tcp dport {port} drop",
            f"tcp sport {port} drop",
        ),
    )


def _cut_off(lab: Lab, part: str) -> int:
    group = heat.group(lab, part)
    if group is None:
        raise InputError(
            f"lab part {part}", "has no group id of its own that identifies its packets", "it needs root"
        )
    brokers = ", ".join(str(lab.port(name)) for name in lab.topology.broker_ports("amqp"))
    return make_table(
        table_of(lab, part, "cut-off"),
        lab.namespace(part),
        (
            "type filter hook output priority 0; policy accept;",
            f"meta skgid {group} tcp dport {{ {brokers} }} drop",
        ),
    )


def _refuse_checks(lab: Lab, part: str) -> int:
    at = time.time_ns()
    files.append(health_check.refusal(lab, part)).close()
    return at


def _allow_checks(lab: Lab, part: str) -> int:
    at = time.time_ns()
    health_check.refusal(lab, part).unlink(missing_ok=True)
    return at


def _relay(fault: str, *words: str) -> Callable[[Lab, str], int]:
    def begin(lab: Lab, part: str) -> int:
        if _tool("conntrack") is None:
            raise InputError(
                "lab part", "packets cannot be redirected here", "install the package conntrack"
            )
        name = f"relay-{part}"
        processes.kill(lab.folder, name)
        port_file = lab.folder / f"{name}.port"
        port_file.unlink(missing_ok=True)
        host, port = lab.host(part), lab.port(part)
        source = host if lab.layout else RELAY
        tls = ("--tls", str(lab.tls_folder)) if lab.topology.speaks_tls(part) else ()
        given = (str(port_file), source, host, str(port), *words, *tls)
        argv = (sys.executable, "-m", "calorimeter.lab.fault_relay", *given)
        process = daemon.launch(lab, Daemon(name, argv, lambda: True, 20))

        def listening() -> int:
            if process.poll() is not None:
                raise DaemonError(name, "ended at once", daemon.tail(lab.log(name)))
            with suppress(files.MissingFileError):
                return int(files.read_text(port_file))
            return 0

        # On loopback the packets to the part leave from here; on a host of its own they come in.
        hook = "prerouting" if lab.layout else "output"
        at = make_table(
            table_of(lab, part, fault),
            lab.namespace(part),
            (
                f"type nat hook {hook} priority -100; policy accept;",
                f"ip saddr != {source} tcp dport {port} redirect to :{until(listening, 20)}",
            ),
            # Do not track what the API still sends on older connections: a new connection from the same
            # client port would count as one of them and bypass the relay.
            (
                "type filter hook output priority raw; policy accept;",
                f"tcp sport {port} ip daddr != {source} notrack",
            ),
        )
        _forget(lab, part)
        return at

    return begin


def _no_relay(fault: str) -> Callable[[Lab, str], int]:
    def end(lab: Lab, part: str) -> int:
        # The relay first: its closing packets must still find their way back through the table.
        at = time.time_ns()
        processes.kill(lab.folder, f"relay-{part}")
        remove_table(table_of(lab, part, fault), lab.namespace(part))
        _forget(lab, part)
        return at

    return end


def _forget(lab: Lab, part: str) -> None:
    """Delete the kernel's connection tracking entries for a part.

    The kernel tracks connections only while a table redirects, so it does not see most of them end. A new
    connection from the same client port would follow the old entry: past the relay, or to one that ended.
    """
    tool = _tool("conntrack")
    if tool is None:
        return  # nothing was redirected without it
    host, port = lab.host(part), str(lab.port(part))
    for end in (
        ("--orig-dst", host, "--orig-port-dst", port),
        ("--orig-src", host, "--orig-port-src", port),
    ):
        # Its exit status is 1 both if there was no entry and if it failed.
        argv = netns.within(lab.namespace(part), tool, "-D", "-p", "tcp", *end)
        subprocess.run(argv, capture_output=True, check=False)


ACTIONS: dict[str, Callable[[Lab, str], int]] = {
    "unreachable": _unreachable,
    "reachable": _without_table("unreachable"),
    "slow": _relay("slow", "--delay-s", str(DELAY_S)),
    "fast": _no_relay("slow"),
    "errors": _relay("errors", "--status", "503"),
    "no-errors": _no_relay("errors"),
    "refuse-checks": _refuse_checks,
    "allow-checks": _allow_checks,
    "cut-off": _cut_off,
    "join": _without_table("cut-off"),
}
"""Action → function that applies it, called with the lab's lock held."""
