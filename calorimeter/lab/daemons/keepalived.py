"""keepalived: moves the virtual address of a pair of proxies to one that works."""

from __future__ import annotations

from pathlib import Path

from calorimeter.config import keepalived_writer
from calorimeter.core import files
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


def prepare(lab: Lab, part: str) -> None:
    """Write the configuration. The first proxy takes the address first."""
    assert lab.layout is not None
    others = [each for each in parts(lab) if each != part]
    home = _home(lab, part)
    files.make_folder(home)
    config = keepalived_writer.KeepalivedConfig(
        name=part,
        interface=network.INTERFACE,
        address=lab.host(part),
        peers=tuple(lab.host(other) for other in others),
        virtual_address=f"{lab.host('rest')}/32",
        priority=100 + len(parts(lab)) - parts(lab).index(part),
        advertised_every_s=ADVERTISED_EVERY_S,
    )
    write_private(home / "keepalived.conf", keepalived_writer.render(config))


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
            *("--use-file", str(home / "keepalived.conf")),
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
