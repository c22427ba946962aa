"""Predicted shares of a section's servers."""

from __future__ import annotations

import pytest

from calorimeter.core.expect import Expect
from calorimeter.core.source_addresses import SourceAddresses
from calorimeter.core.source_hash import HashServer
from calorimeter.live.predicted_shares import PredictedShares, predicted_shares

GUIDE = Expect().of("rest")
NONE = SourceAddresses(())
THREE = tuple(HashServer(name=f"rest-{n}", puid=n) for n in (1, 2, 3))
LESS = (*THREE[:2], HashServer(name="rest-3", puid=3, up=False))


def test_by_the_addresses_of_the_load() -> None:
    """127.0.0.10 to .15 go to the servers 3, 1, 2, 3, 1, 2, as was measured on HAProxy."""
    sources = SourceAddresses(("127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13"))
    found = predicted_shares(THREE, GUIDE, None, sources, 4)
    assert found == PredictedShares(
        {"rest-1": 0.25, "rest-2": 0.25, "rest-3": 0.5}, "source hash of the load's 4 addresses"
    )


def test_users_share_addresses_in_turn() -> None:
    """Five users of four addresses: the first address has two."""
    sources = SourceAddresses(("127.0.0.10", "127.0.0.11", "127.0.0.12", "127.0.0.13"))
    found = predicted_shares(THREE, GUIDE, None, sources, 5)
    assert found.shares == {"rest-1": 0.2, "rest-2": 0.2, "rest-3": 0.6}
    two = predicted_shares(THREE, GUIDE, None, sources, 2)
    assert two.shares == {"rest-1": 0.5, "rest-2": 0.0, "rest-3": 0.5}


@pytest.mark.parametrize(("servers", "third"), [(THREE, 1 / 3), (LESS, 0.0)])
def test_without_a_load_by_any_address(servers: tuple[HashServer, ...], third: float) -> None:
    """A server that is down gets nothing, and the others its part."""
    found = predicted_shares(servers, GUIDE, None, NONE, 0)
    assert found.by == "source hash of any addresses"
    rest = (1 - third) / 2
    assert found.shares == pytest.approx({"rest-1": rest, "rest-2": rest, "rest-3": third})


def test_another_balance_is_predicted_by_the_weights() -> None:
    """Weights 1, 2 and a server that is down."""
    servers = (HashServer("a", 1, 1), HashServer("b", 2, 2), HashServer("c", 3, 5, up=False))
    found = predicted_shares(servers, Expect(balance="roundrobin").of("rest"), None, NONE, 9)
    assert found == PredictedShares({"a": 1 / 3, "b": 2 / 3, "c": 0.0}, "weights")


def test_a_section_that_is_too_large_is_not_hashed() -> None:
    """A recorded folder may hold any weights: no prediction takes seconds."""
    servers = tuple(HashServer(f"s{n}", n, 256) for n in range(1, 1001))
    assert predicted_shares(servers, GUIDE, None, NONE, 0).by == "weights"


@pytest.mark.parametrize("servers", [(), (HashServer("a", 1, up=False),), (HashServer("a", 1, weight=0),)])
def test_without_a_server_nothing_is_predicted(servers: tuple[HashServer, ...]) -> None:
    """And it says so."""
    assert predicted_shares(servers, GUIDE, None, NONE, 3) == PredictedShares({}, "no server is up")
