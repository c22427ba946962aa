"""Two proxies that share a virtual address, in front of the guide's machines."""

from __future__ import annotations

from calorimeter.lab.hosts.host_layout import HostLayout

PAIR = HostLayout(
    option="--proxies 2",
    hosts={
        "P1": "10.0.0.251",
        "P2": "10.0.0.252",
        "A": "10.0.0.1",
        "B": "10.0.0.2",
        "C": "10.0.0.3",
        "client-1": "10.0.0.101",
    },
    sources={"client-1": "10.1.0.0/16"},
    services="A",
    api_hosts=("B", "C"),
    client="client-1",
    places={"proxy-1": "P1", "proxy-2": "P2", "keepalived-1": "P1", "keepalived-2": "P2"},
    virtual_address="10.0.0.250",
)
"""P1 and P2 have a proxy and a keepalived each, A all services, B and C APIs and engines in turn. The
addresses are those of the example of `calorimeter generate`."""
