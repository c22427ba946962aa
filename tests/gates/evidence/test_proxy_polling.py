"""The addresses of servers, from a proxy's state."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from calorimeter.core.deployment import Api, Backend
from calorimeter.gates.evidence.placement import ServerAt
from calorimeter.gates.evidence.proxy_polling import placed, resolved
from calorimeter.gates.evidence.proxy_state import ServerStat, ServerState, read_servers_state
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable

STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_port
3 r 1 a 10.0.0.2 2 0 3 1 15 6 8004
3 r 2 b fd00::3 2 0 1 1 15 6 8004
3 r 3 c - 2 0 1 1 15 6 0
3 r 4 d 10.0.0.4 2 0 1 1 15 6 0
3 r 5 e 0.0.0.0 2 0 1 1 15 6 8004
4 other 1 a 10.0.0.9 2 0 1 1 15 6 8004
"""


def row(name: str, addr: str | None) -> ServerStat:
    """A server of `show stat`."""
    return ServerStat(section="r", name=name, kind="server", status="UP", addr=addr)


def source(state: str | None, *rows: ServerStat) -> Any:
    """A stats source that shows this state (None: refused) and these rows."""

    def show_servers_state() -> tuple[ServerState, ...]:
        if state is None:
            raise EvidenceUnavailable("unix:///p", "is refused: the socket's level is too low")
        return read_servers_state(state)

    return SimpleNamespace(where="unix:///p", show_servers_state=show_servers_state, show_stat=lambda: rows)


def test_servers_state_shows_addresses_and_the_weights_of_the_file() -> None:
    """Servers on a Unix socket, at the client's port or not resolved have no address to compare."""
    assert placed([source(STATE)], "r") == (
        ServerAt(proxy="unix:///p", server="a", address="10.0.0.2:8004", file_weight=1),
        ServerAt(proxy="unix:///p", server="b", address="[fd00::3]:8004", file_weight=1),
    )


def test_show_stat_is_read_if_the_servers_state_is_refused() -> None:
    """A page or a socket of a low level shows no addresses."""
    rows = (row("a", "10.0.0.2:8004"), row("b", "[::1]:1"), row("c", "unix"), row("d", None))
    found = placed([source(None, *rows)], "r")
    assert [(at.server, at.address, at.file_weight) for at in found] == [
        ("a", "10.0.0.2:8004", None),
        ("b", "[::1]:1", None),
    ]
    assert placed([source(None, row("a", None))], "r") == ()
    assert placed([], "r") == ()


def test_backends_are_resolved_as_the_proxy_does() -> None:
    """A name has the addresses that it resolves to; an unknown one has none."""
    api = Api(
        url="http://h/v1",
        proxy_section="r",
        backends=(
            Backend(name="a", address="127.0.0.1:1"),
            Backend(name="b", address="[::1]:1"),
            Backend(name="c", address="no-such-host.invalid:1"),
        ),
    )
    assert resolved(api) == {"a": ("127.0.0.1:1",), "b": ("[::1]:1",), "c": ()}
