"""Sabotages of a pair of proxies (`lab up --proxies 2`) that gates V must find.

A sabotage changes the configuration of the keepaliveds, or of the last proxy alone. The lab's
deployment.toml is unchanged: it describes the intended state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from calorimeter.config.haproxy.haproxy_writer import ListenSection, ProxyConfig
from calorimeter.config.keepalived_writer import KeepalivedConfig
from calorimeter.core import files
from calorimeter.core.errors import InputError, unknown
from calorimeter.lab import lab_state, lock, processes
from calorimeter.lab.daemons import daemon, haproxy, keepalived
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.sabotage import proxy_sabotage


@dataclass(frozen=True, slots=True)
class PairSabotage:
    """A sabotage: its description, the changes of each keepalived and of the last proxy, and the gate that
    finds it."""

    what: str
    gate: str
    keepalived: Callable[[KeepalivedConfig], KeepalivedConfig] = lambda config: config
    last_proxy: Callable[[ProxyConfig], ProxyConfig] = lambda config: config


def _reversed(config: ProxyConfig) -> ProxyConfig:
    def other_way(each: ListenSection) -> ListenSection:
        return replace(each, servers=tuple(reversed(each.servers)))

    return replace(config, listens=tuple(map(other_way, config.listens)))


PAIR_SABOTAGES: Mapping[str, PairSabotage] = {
    "unasked-proxy": PairSabotage(
        "keepalived does not ask whether its proxy works",
        "V1",
        keepalived=lambda config: replace(config, watched=False),
    ),
    "taken-back": PairSabotage(
        "a proxy that comes back takes the address at once, before its own checks have run",
        "V2",
        keepalived=lambda config: replace(config, preempt_delay_s=0),
    ),
    "other-order": PairSabotage(
        "the last proxy has its servers in the reverse order", "V3", last_proxy=_reversed
    ),
}
"""Name → the sabotage."""


def sabotage(name: str, what: str) -> None:
    """Apply one of `PAIR_SABOTAGES` to the lab called `name`, in place of an earlier one.

    Raises `InputError` for an unknown sabotage or lab, and for a lab with one proxy; `DaemonError` if a
    daemon refuses.
    """
    if what not in PAIR_SABOTAGES:
        raise unknown("lab sabotage", "sabotage", what, PAIR_SABOTAGES)
    vary(name, PAIR_SABOTAGES[what])


def vary(name: str, change: PairSabotage) -> None:
    """Change the pair in any way, until `heal`. Raises as `sabotage` does."""
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        if not keepalived.parts(lab):
            raise InputError("lab sabotage", f"lab {name} has one proxy", "valid: a lab of `--proxies 2`")
        last = lab.topology.proxy_parts[-1]
        for part in lab.topology.proxy_parts:
            changed = change.last_proxy if part == last else lambda config: config
            proxy_sabotage.replace_config(lab, part, changed(haproxy.config(lab, part)))
        _restart(lab, change)


def heal(name: str) -> None:
    """Restore the keepaliveds' configurations; `proxy_sabotage.heal` restores those of the proxies."""
    with lock.held(lab_state.folder(name), 30):
        lab = lab_state.open_lab(name)
        _restart(lab, PairSabotage("", ""))


def _restart(lab: Lab, change: PairSabotage) -> None:
    """Restart those keepaliveds whose configuration changes."""
    for part in keepalived.parts(lab):
        before = files.read_text(keepalived.conf(lab, part))
        keepalived.prepare(lab, part, change.keepalived(keepalived.config(lab, part)))
        if files.read_text(keepalived.conf(lab, part)) != before:
            processes.terminate(lab.folder, part)
            daemon.start(lab, keepalived.daemon(lab, part))
