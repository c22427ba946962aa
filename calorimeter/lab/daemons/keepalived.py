"""keepalived: moves the virtual address of a pair of proxies to one that works."""

from __future__ import annotations

from pathlib import Path

from calorimeter.config import keepalived_reader, keepalived_writer
from calorimeter.config.keepalived_writer import KeepalivedConfig
from calorimeter.core import files
from calorimeter.core.vrrp import Vrrp
from calorimeter.lab import programs
from calorimeter.lab.daemons import readiness
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import Lab, write_private

ADVERTISED_EVERY_S = 0.2
"""A link or host that is lost is noticed within 0.8 s; keepalived's default, 1 s, needs 4 s."""


def parts(lab: Lab) -> tuple[str, ...]:
    """`keepalived-1`, …: one beside each of several proxies."""
    return lab.topology.keepalived_parts


def proxy_of(part: str) -> str:
    """The proxy that a keepalived watches."""
    return part.replace("keepalived", "proxy")


def _home(lab: Lab, part: str) -> Path:
    return lab.folder / part


def config(lab: Lab, part: str) -> KeepalivedConfig:
    """The configuration of a keepalived. The first proxy takes the address first."""
    assert lab.layout is not None
    return KeepalivedConfig(
        name=part,
        interface=network.INTERFACE,
        address=lab.host(part),
        peers=tuple(lab.host(other) for other in parts(lab) if other != part),
        virtual_address=f"{lab.host('rest')}/32",
        priority=100 + len(parts(lab)) - parts(lab).index(part),
        advertised_every_s=ADVERTISED_EVERY_S,
    )


def conf(lab: Lab, part: str) -> Path:
    """The configuration file of a keepalived."""
    return _home(lab, part) / "keepalived.conf"


def prepare(lab: Lab, part: str, other: KeepalivedConfig | None = None) -> None:
    """Write the configuration, or `other`."""
    files.make_folder(_home(lab, part))
    write_private(conf(lab, part), keepalived_writer.render(other or config(lab, part)))


def vrrp(lab: Lab, part: str) -> Vrrp:
    """What the deployment file says of a keepalived: its intended settings."""
    return keepalived_reader.read(keepalived_writer.render(config(lab, part)))


def daemon(lab: Lab, part: str) -> Daemon:
    """keepalived with VRRP alone; it logs to its own log file, not to syslog.

    It serves once its VRRP process runs and the front address is somewhere: which proxy has it is decided
    among them. By the file of an earlier one, it takes a killed keepalived that nobody has waited for yet
    (a zombie) for one that runs, and ends at once.
    """
    home = _home(lab, part)
    left = home / "pid", home / "vrrp.pid"
    return Daemon(
        part=part,
        argv=(
            *(str(programs.keepalived()), "--dont-fork", "--vrrp", "--log-console", "--no-syslog"),
            *("--use-file", str(conf(lab, part))),
            *("--pid", str(left[0]), "--vrrp_pid", str(left[1])),
        ),
        ready=lambda: left[1].exists() and readiness.accepts(lab.host("rest"), lab.port("rest")),
        deadline_s=20,
        left=left,
    )


def holders(lab: Lab) -> tuple[str, ...]:
    """The proxies whose hosts have the virtual address: one, unless something is broken."""
    address = lab.host("rest")
    return tuple(
        proxy_of(part) for part in parts(lab) if address in network.addresses(str(lab.namespace(part)))
    )
