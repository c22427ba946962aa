"""The guide's sample: machines A, B and C with the guide's addresses, and two client hosts."""

from __future__ import annotations

from calorimeter.lab.hosts.host_layout import HostLayout

BROKER_USER, BROKER_PASSWORD = "stackrabbit", "admin"
"""The guide's (DevStack's) values. The broker cannot be reached from outside the namespaces."""

SAMPLE = HostLayout(
    option="--sample guide",
    hosts={
        "A": "10.0.0.1",
        "B": "10.0.0.2",
        "C": "10.0.0.3",
        "client-1": "10.0.0.101",
        "client-2": "10.0.0.102",
    },
    sources={"client-1": "10.1.0.0/16", "client-2": "10.2.0.0/16"},
    services="A",
    api_hosts=("B", "C"),
    client="client-1",
)
"""A has the proxy and all services, B and C one API of each kind and engines in turn."""
