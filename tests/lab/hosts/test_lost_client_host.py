"""A lab whose client host was deleted can be reached, and so healed, again."""

from __future__ import annotations

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.lab.hosts import network
from calorimeter.lab.sample.layout import SAMPLE

LAN, CLIENT = network.namespace("x", network.LAN), network.namespace("x", SAMPLE.client)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The calls of `ip`; deleting a port that is not there fails."""
    calls: list[tuple[str, ...]] = []

    def ip(*words: str) -> None:
        calls.append(words)
        if "delete" in words:
            raise InputError("ip", "Cannot find device")

    monkeypatch.setattr(network, "_ip", ip)
    monkeypatch.setattr(netns, "enter", lambda name, where: calls.append(("enter", name)))
    return calls


def test_a_lost_client_host_is_made_again(
    said: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its port is unplugged first: a process that lives in the lost namespace keeps the other end."""
    monkeypatch.setattr(network, "existing", lambda _: [LAN])
    network.enter_client_host("x", SAMPLE)
    assert said[0] == ("-n", LAN, "link", "delete", "port-client-1")
    assert said[1] == ("netns", "add", CLIENT)
    assert said[-1] == ("enter", CLIENT)


@pytest.mark.parametrize("there", [[LAN, CLIENT], []], ids=["all is well", "the lab is down"])
def test_a_client_host_is_made_only_if_it_alone_is_missing(
    there: list[str], said: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab that is whole, or down, gets no new namespace."""
    monkeypatch.setattr(network, "existing", lambda _: there)
    network.enter_client_host("x", SAMPLE)
    assert said == [("enter", CLIENT)]
