"""The addresses to send from."""

from __future__ import annotations

import socket

import pytest

from calorimeter.core.errors import InputError
from calorimeter.gates.clients.sources import addresses


def test_a_network_may_be_given_by_any_of_its_addresses() -> None:
    """`10.0.0.5/30` is the network that contains 10.0.0.5, as the load reads it."""
    assert sorted(addresses(["10.0.0.5/30"], 9)) == ["10.0.0.5", "10.0.0.6"]
    with pytest.raises(InputError, match=r"clients\.sources"):
        addresses(["10.0.0"], 9)


def test_a_network_may_be_of_any_size() -> None:
    """All of IPv6, too."""
    for text in ("fd00::/64", "::/0", "fd00::1"):
        found = addresses([text], 3, family=socket.AF_INET6)
        assert len({*found}) == (1 if text == "fd00::1" else 3)
