"""keepalived's configuration for one of several proxies that share a virtual address."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.config.haproxy.haproxy_writer import ListenSection

ALIVE = "127.0.0.1:8405"
"""Where a proxy tells its own keepalived that it works."""

ALIVE_SECTION = ListenSection(
    name="proxy_alive",
    bind=(ALIVE,),
    servers=(),
    balance=None,
    options=("dontlog-normal",),
    lines=("mode  http", "monitor-uri  /"),
)
"""The section of HAProxy that answers there. A frozen proxy does not, although its process exists."""


@dataclass(frozen=True, slots=True)
class KeepalivedConfig:
    """One keepalived. Of those that can serve, the one with the highest `priority` takes the address first.

    `peers` are the addresses of the other proxies. `virtual_address` is moved between the proxies on
    `interface`; it has the prefix /32 unless it names one. `virtual_router` must be unique in the network.
    `advertised_every_s` is the interval at which the holder says that it is there: after three of them, and
    up to one more, another proxy takes the address. VRRP 2 knows whole seconds only; for others VRRP 3 is
    used. A proxy that comes back takes the address from one of a lower priority `preempt_delay_s` later;
    None: never (`nopreempt`). A delay must be longer than the proxy's own checks need to have its servers
    UP. `watched`: keepalived asks its proxy whether it works.
    """

    name: str
    interface: str
    address: str
    peers: tuple[str, ...]
    virtual_address: str
    priority: int
    virtual_router: int = 51
    advertised_every_s: float = 1
    preempt_delay_s: float | None = None
    watched: bool = True


def render(config: KeepalivedConfig) -> str:
    """The text of the file."""
    version = "" if config.advertised_every_s == int(config.advertised_every_s) else "    vrrp_version 3\n"
    back = "nopreempt" if config.preempt_delay_s is None else f"preempt_delay {config.preempt_delay_s:g}"
    tracked = _TRACKED if config.watched else ""
    peers = "".join(f"        {address}\n" for address in config.peers)
    return f"""\
global_defs {{
    router_id {config.name}
    enable_script_security
    script_user nobody
{version}}}

vrrp_script haproxy {{
    script "/usr/bin/curl --silent --fail --max-time 1 --output /dev/null http://{ALIVE}/"
    interval 1
    timeout 2
    fall 2
    rise 2
}}

vrrp_instance heat {{
    state BACKUP
    {back}
    interface {config.interface}
    virtual_router_id {config.virtual_router}
    priority {config.priority}
    advert_int {config.advertised_every_s:g}
    unicast_src_ip {config.address}
    unicast_peer {{
{peers}    }}
    virtual_ipaddress {{
        {config.virtual_address} dev {config.interface}
    }}
{tracked}}}
"""


_TRACKED = """\
    track_script {
        haproxy
    }
"""
