"""Stickiness: what keeps a client on one server, beside `balance`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calorimeter.config.haproxy.servers import HAProxyServer
from calorimeter.config.haproxy.text import HAProxyLine


@dataclass(frozen=True, slots=True)
class Stickiness:
    """A cookie or a stick table, and the line that sets it.

    `lacks` is why it keeps no client on one server; empty if it does.
    """

    kind: Literal["cookie", "stick"]
    line: HAProxyLine
    lacks: str = ""

    @property
    def works(self) -> bool:
        """Whether it keeps a client on one server."""
        return not self.lacks


def of_cookie(
    line: HAProxyLine, servers: Sequence[HAProxyServer], *, http: bool, dynamic_key: bool
) -> Stickiness:
    """The persistence of a `cookie` line."""
    options = line.words[2:]
    without = [server.name for server in servers if not server.has("cookie")]
    if not http:
        lacks = "HAProxy reads cookies in mode http only"
    elif "insert" not in options:
        lacks = "HAProxy inserts no cookie (the word insert is missing), and Heat sets none"
    elif "dynamic" in options and not dynamic_key:
        lacks = "dynamic has no dynamic-cookie-key"
    elif "dynamic" not in options and without:
        lacks = f"these servers have no cookie value: {', '.join(without)}"
    else:
        lacks = ""
    return Stickiness("cookie", line, lacks)


def of_stick_rules(rules: Sequence[HAProxyLine], table: HAProxyLine | None) -> Stickiness | None:
    """The persistence of `stick` rules; `table` is the `stick-table` line, if any."""
    kinds = {line.words[1]: line for line in reversed(rules) if len(line.words) > 1}
    stores = kinds.get("store-request") or kinds.get("store-response")
    if "on" in kinds:
        return Stickiness("stick", kinds["on"])
    if "match" in kinds:
        return Stickiness("stick", kinds["match"], "" if stores else "no stick rule stores a server")
    if stores:
        return Stickiness("stick", stores, "no stick rule matches a client")
    return Stickiness("stick", table, "the table only counts (no stick on)") if table else None
