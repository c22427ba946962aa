"""Source addresses of users."""

from __future__ import annotations

import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.errors import InputError
from calorimeter.core.source_addresses import SourceAddresses
from tests.load.programs import command
from tests.places import CLONE


def test_addresses_of_networks_in_order() -> None:
    """Network and broadcast addresses are left out, single addresses are taken as they are."""
    sources = SourceAddresses(["127.0.1.0/30", "127.0.2.7", "fd00::/126"])
    assert list(sources) == ["127.0.1.1", "127.0.1.2", "127.0.2.7", "fd00::1", "fd00::2", "fd00::3"]


@given(prefix=st.integers(8, 32), number=st.integers(0, 2**24))
def test_index_is_the_nth_host(prefix: int, number: int) -> None:
    """The n-th address lies inside its network, and users wrap around its end."""
    sources = SourceAddresses([f"127.0.0.0/{prefix}"])
    address = sources.of_user(number)
    assert address == sources[number % len(sources)]
    assert address == sources.of_user(number + len(sources))


def test_users_get_distinct_addresses_while_there_are_any() -> None:
    """2,000 users of a large network have 2,000 addresses."""
    sources = SourceAddresses(["127.16.0.0/12"])
    assert len({sources.of_user(number) for number in range(2000)}) == 2000


def test_family_of_the_target_decides() -> None:
    """Only addresses of the target's family are used; none of it means the system's choice."""
    sources = SourceAddresses(["127.0.1.0/30", "::1"])
    assert list(sources.of_family(socket.AF_INET6)) == ["::1"]
    assert SourceAddresses(["127.0.1.0/30"]).of_family(socket.AF_INET6).of_user(5) is None


def test_what_is_no_address_is_one_line() -> None:
    """A word that is no address is quoted."""
    with pytest.raises(InputError, match=r"clients\.sources: 'all' is not an address"):
        SourceAddresses(["all"])


def test_address_of_another_machine_is_refused() -> None:
    """An address that this machine does not have is named before the load."""
    SourceAddresses(["127.0.5.0/24"]).check()
    with pytest.raises(InputError, match=r"192\.0\.2\.1 cannot be a source address here"):
        SourceAddresses(["192.0.2.0/24"]).check()


@pytest.mark.slow
def test_each_user_has_its_own_ipv6_address() -> None:
    """Users over IPv6 each send from their own address of a whole prefix; a foreign one is refused."""
    inside = 'ip link set lo up && ip -6 route add local fd00:ca1::/64 dev lo && exec "$@"'
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", inside, "sh", *command("ipv6_users")],
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("no network namespace may be made here")
    assert done.returncode == 0, done.stderr
    assert "2001:db8::1 cannot be a source address here" in done.stdout
