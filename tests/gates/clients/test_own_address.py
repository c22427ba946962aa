"""Requests to a backend at its own address, plain and through TLS, to real sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from calorimeter.core.deployment import Backend, Tls
from calorimeter.gates.clients.own_address import of_backend, refuses, serves
from calorimeter.lab import authority


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificates of an authority and a server."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    own = authority.own()
    issued = authority.issue(own, "one", ())
    for name, content in (("ca", own.pem), ("server", issued.certificate), ("key", issued.key)):
        (tmp_path / f"{name}.pem").write_bytes(content)
    return tmp_path


async def _ended() -> None:
    """Wait for the other tasks of this loop: a client may just have gone."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)


@pytest.fixture
def ports(folder: Path) -> Iterator[tuple[int, int]]:
    """The ports of a server that speaks TLS and of one that does not."""
    loop = asyncio.new_event_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(asyncio.IncompleteReadError):  # a client that only connects
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 300 Choices\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                await asyncio.wait_for(writer.wait_closed(), 2)

    servers = [
        loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls))
        for tls in (context, None)
    ]
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    secure, plain = (server.sockets[0].getsockname()[1] for server in servers)
    yield secure, plain
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(_ended())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_a_backend_is_asked_in_the_way_that_it_speaks(folder: Path, ports: tuple[int, int]) -> None:
    """One with TLS is verified; plain HTTP to it, or a client without its authority, gets no answer."""
    secure, plain = (f"127.0.0.1:{port}" for port in ports)
    known = Tls(ca_file=folder / "ca.pem")

    def served(address: str, tls: Tls, *, secure: bool) -> bool:
        return serves(of_backend(Backend(name="a", address=address, tls=secure), tls))

    assert served(secure, known, secure=True)
    assert served(secure, Tls(verify=False), secure=True)
    assert served(plain, known, secure=False)
    assert not served(secure, Tls(), secure=True)
    assert not served(secure, known, secure=False)
    assert not served(plain, known, secure=True)


def test_the_urls_of_a_backend_have_its_scheme(folder: Path) -> None:
    """What is sent to it with a password goes through TLS, too."""
    known = Tls(ca_file=folder / "ca.pem")
    assert of_backend(Backend(name="a", address="[::1]:8004", tls=True), known).url == "https://[::1]:8004"
    assert of_backend(Backend(name="a", address="[::1]:8004"), known).url == "http://[::1]:8004"


def test_a_port_without_a_process_refuses(ports: tuple[int, int]) -> None:
    """One that accepts and does not answer refuses nothing; nor does one that cannot be reached in time."""
    with socket.socket() as bound, socket.socket() as silent:
        bound.bind(("127.0.0.1", 0))
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        free, mute = (each.getsockname()[1] for each in (bound, silent))
        found = {
            port: refuses(of_backend(Backend(name="a", address=f"127.0.0.1:{port}"), Tls()))
            for port in (free, mute, *ports)
        }
    assert found == {free: True, mute: False, ports[0]: False, ports[1]: False}
