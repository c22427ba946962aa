"""Ports for labs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab import ports


def test_reserved_ports_are_free_distinct_and_below_the_ephemeral_range(tmp_path: Path) -> None:
    """Two labs get no port twice, and none that the kernel might hand to a client."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.mkdir(), b.mkdir()
    names = [f"n{i}" for i in range(30)]
    first, second = ports.reserve(names, a), ports.reserve(names, b)
    try:
        both = [*first.values(), *second.values()]
        assert len(set(both)) == 60
        lowest_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
        assert all(ports.LOWEST <= port < min(ports.HIGHEST, lowest_ephemeral) for port in both)
    finally:
        ports.release(first.values(), a)
        ports.release(second.values(), b)


def test_a_port_somebody_listens_on_is_refused(tmp_path: Path) -> None:
    """A wanted port that is taken is an error that names the option and the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(InputError, match=f"--rest-port: {port} is taken; valid: a free TCP port"):
            ports.reserve(["rest"], tmp_path, {"rest": port})


def test_a_port_another_lab_has_reserved_is_refused(tmp_path: Path) -> None:
    """A reservation counts also while nobody listens yet; it ends with its owner's folder."""
    owner = tmp_path / "owner"
    owner.mkdir()
    port = ports.reserve(["rest"], owner)["rest"]
    with pytest.raises(InputError, match="is taken by the lab in"):
        ports.reserve(["cfn"], tmp_path, {"cfn": port})
    owner.rmdir()
    assert ports.reserve(["cfn"], tmp_path, {"cfn": port}) == {"cfn": port}
    ports.release([port], tmp_path)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_listening_sockets_are_read_from_the_kernel_s_table(address: str) -> None:
    """A listener is found with its own address and port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        server = socket.create_server((address, 0), family=family)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        port = server.getsockname()[1]
        assert (address, port) in {(found.address, found.port) for found in ports.listening()}
