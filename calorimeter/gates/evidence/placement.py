"""Whether a proxy's servers are the backends that are described under their names: by their addresses."""

from __future__ import annotations

from dataclasses import dataclass

from calorimeter.core.toml import Model


class ServerAt(Model):
    """Where a proxy sends what is for one of its servers, as `IP:PORT`; `proxy` is where that was seen.

    `file_weight` is the weight in the proxy's file, None where only the present one is seen.
    """

    proxy: str
    server: str
    address: str
    file_weight: int | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """Servers that are not at the address that is described.

    `others` maps a server to the described backend whose address it has: a fact. `strangers` are sentences
    on those at an address that nobody described: whether that is the same process, by another of its
    addresses, cannot be told. `told` are the sentences on both.
    """

    others: dict[str, str]
    strangers: tuple[str, ...]
    told: tuple[str, ...]

    @property
    def doubt(self) -> str | None:
        """Why it cannot be told which backend a server is; None where it can."""
        return (
            f"which backend is meant cannot be told: {'; '.join(self.strangers)}"
            if self.strangers
            else None
        )


def placement(backends: dict[str, tuple[str, ...]], placed: tuple[ServerAt, ...]) -> Placement:
    """Compare the proxies' servers with the described backends: name → its addresses, as `IP:PORT`.

    A server nobody described, and a backend whose address is not known, are not compared.
    """
    others: dict[str, str] = {}
    strangers, told = [], []
    for at in placed:
        wanted = backends.get(at.server, ())
        if not wanted or at.address in wanted:
            continue
        whose = next((name for name, addresses in backends.items() if at.address in addresses), None)
        said = f"{at.server} is at {at.address} in the proxy, {', '.join(wanted)} is described"
        if whose is None:
            strangers.append(said)
        else:
            others[at.server] = whose
            said += f": that is {whose}"
        told.append(said)
    return Placement(others, tuple(dict.fromkeys(strangers)), tuple(dict.fromkeys(told)))


def disagreement(backends: dict[str, tuple[str, ...]], placed: tuple[ServerAt, ...]) -> str | None:
    """Why a server's name does not say on which backend a source was: to two proxies it is two of them."""
    first: dict[str, tuple[str, ServerAt]] = {}
    for at in placed:
        whose = next((name for name, addresses in backends.items() if at.address in addresses), None)
        if whose is None:
            continue
        known, before = first.setdefault(at.server, (whose, at))
        if known != whose:
            return (
                f"the proxies do not agree on server {at.server}: {before.proxy} has it at "
                f"{before.address} ({known}), {at.proxy} at {at.address} ({whose})"
            )
    return None
