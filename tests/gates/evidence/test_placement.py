"""A proxy's servers compared with the described backends, by their addresses."""

from __future__ import annotations

from calorimeter.gates.evidence.placement import ServerAt, disagreement, placement

BACKENDS = {"a": ("10.0.0.2:8004",), "b": ("10.0.0.3:8004", "[fd00::3]:8004"), "c": ()}


def at(server: str, address: str, proxy: str = "unix:///one") -> ServerAt:
    """A server of a proxy."""
    return ServerAt(proxy=proxy, server=server, address=address)


def test_servers_at_their_addresses_are_as_described() -> None:
    """Any address of a backend matches; servers not described or not resolved are not compared."""
    placed = (
        at("a", "10.0.0.2:8004"),
        at("b", "[fd00::3]:8004"),
        at("c", "10.0.0.4:1"),
        at("x", "10.0.0.5:1"),
    )
    found = placement(BACKENDS, placed)
    assert (found.others, found.strangers, found.differences, found.doubt) == ({}, (), (), None)
    assert placement(BACKENDS, ()).differences == ()


def test_server_at_anothers_address_is_that_one() -> None:
    """The proxy's `a` is the backend `b`; two proxies that show it give one sentence."""
    found = placement(BACKENDS, (at("a", "10.0.0.3:8004"), at("a", "10.0.0.3:8004", "unix:///two")))
    assert found.others == {"a": "b"}
    assert found.differences == (
        "a is at 10.0.0.3:8004 in the proxy, 10.0.0.2:8004 is described: that is b",
    )
    assert found.doubt is None


def test_server_at_an_undescribed_address_is_a_doubt() -> None:
    """It may be another address of the same process."""
    found = placement(BACKENDS, (at("a", "192.0.2.2:8004"),))
    assert found.others == {}
    assert found.doubt == (
        "which backend is meant cannot be determined: a is at 192.0.2.2:8004 in the proxy, "
        "10.0.0.2:8004 is described"
    )


def test_proxies_that_mean_different_backends_by_one_name_disagree() -> None:
    """A name in a log is ambiguous then; another address of the same machine is no disagreement."""
    assert (
        disagreement(BACKENDS, (at("a", "10.0.0.2:8004"), at("a", "127.0.0.1:8004", "unix:///two"))) is None
    )
    assert disagreement(BACKENDS, (at("a", "10.0.0.2:8004"), at("a", "10.0.0.3:8004", "unix:///two"))) == (
        "the proxies do not agree on server a: unix:///one has it at 10.0.0.2:8004 (a), unix:///two at "
        "10.0.0.3:8004 (b)"
    )
