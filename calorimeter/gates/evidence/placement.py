"""Compares the addresses of a proxy's servers with the backends that the deployment file describes."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.core.toml import Model


class ServerAt(Model):
    """The address of one of a proxy's servers, as `IP:PORT`; `proxy` is the stats source that shows it.

    `file_weight` is the weight in the proxy's file, None if only the current weight is visible.
    """

    proxy: str
    server: str
    address: str
    file_weight: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Servers that are not at the described address.

    `others` maps a server to the described backend whose address it has. `strangers` are sentences on
    servers at an address that is not described: it may be another address of the same process, so their
    backend cannot be determined. `differences` are the sentences on both.
    """

    others: dict[str, str]
    strangers: tuple[str, ...]
    differences: tuple[str, ...]

    @property
    def doubt(self) -> str | None:
        """Why the backend of a server cannot be determined; None if it can."""
        if not self.strangers:
            return None
        return f"which backend is meant cannot be determined: {'; '.join(self.strangers)}"


def placement(backends: dict[str, tuple[str, ...]], placed: tuple[ServerAt, ...]) -> Placement:
    """Compare the proxies' servers with the described backends: name → its addresses, as `IP:PORT`.

    Servers that are not described, and backends whose address is unknown, are not compared.
    """
    others: dict[str, str] = {}
    strangers, differences = [], []
    for at in placed:
        described = backends.get(at.server, ())
        if not described or at.address in described:
            continue
        whose = _backend_at(backends, at.address)
        difference = f"{at.server} is at {at.address} in the proxy, {', '.join(described)} is described"
        if whose is None:
            strangers.append(difference)
        else:
            others[at.server] = whose
            difference += f": that is {whose}"
        differences.append(difference)
    return Placement(others, tuple(dict.fromkeys(strangers)), tuple(dict.fromkeys(differences)))


def _backend_at(backends: dict[str, tuple[str, ...]], address: str) -> str | None:
    return next((name for name, addresses in backends.items() if address in addresses), None)


def disagreement(backends: dict[str, tuple[str, ...]], placed: tuple[ServerAt, ...]) -> str | None:
    """Why a server's name does not identify a backend: two proxies use it for different ones; else None."""
    first: dict[str, tuple[str, ServerAt]] = {}
    for at in placed:
        whose = _backend_at(backends, at.address)
        if whose is None:
            continue
        known, before = first.setdefault(at.server, (whose, at))
        if known != whose:
            return (
                f"the proxies do not agree on server {at.server}: {before.proxy} has it at "
                f"{before.address} ({known}), {at.proxy} at {at.address} ({whose})"
            )
    return None
