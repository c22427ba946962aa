"""Faults of a lab's APIs, on the real lab: each breaks what it says, and is undone."""

from __future__ import annotations

import re
import shutil
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.waiting import until
from calorimeter.lab import tls_files
from tests.conftest import lab_command

TURNS = 2
"""Requests on one connection."""


def asked(lab: Deployment, path: str = "/", within_s: float = 2.0) -> int:
    """The status of a request to the first REST backend at its own address; 0 where there is no answer."""
    try:
        with urlopen(f"http://{lab.rest.backends[0].address}{path}", timeout=within_s) as answer:
            return int(answer.status)
    except HTTPError as problem:
        return problem.code
    except OSError:
        return 0


def part(lab: Deployment, action: str) -> None:
    """Do something to the first REST backend."""
    done = lab_command("part", "--name", lab.name, lab.rest.backends[0].name, action)
    assert done.returncode == 0, done.stderr
    assert re.search(r"at_ns=\d{19}", done.stdout)


@pytest.mark.lab
@pytest.mark.parametrize(
    ("fault", "heal", "path", "status"),
    [
        ("unreachable", "reachable", "/", 0),
        ("slow", "fast", "/", 0),
        ("errors", "no-errors", "/", 503),
        ("refuse-checks", "allow-checks", "/healthcheck", 503),
    ],
)
def test_a_fault_does_what_it_says_and_is_undone(
    lab: Deployment, fault: str, heal: str, path: str, status: int
) -> None:
    """The backend is unreachable, late, wrong or refuses its checks, until healed; that may be repeated."""
    healthy = asked(lab, path)
    assert healthy in (200, 300)
    part(lab, fault)
    try:
        assert asked(lab, path) == status
        if fault == "refuse-checks":
            assert asked(lab, "/") == 300
    finally:
        part(lab, heal)
        part(lab, heal)
    assert asked(lab, path) == healthy


@pytest.mark.lab
def test_a_port_that_is_used_again_meets_the_fault_of_now(lab: Deployment) -> None:
    """The kernel does not see most connections end, but no new one goes where an old one went.

    From one port: to the API while another part has a fault, to the relay of this part's, to the API.
    """
    other = lab.rest.backends[1].name
    assert lab_command("part", "--name", lab.name, other, "errors").returncode == 0
    with connected(lab) as first:
        port = first.getsockname()[1]
        statuses = [asked_on(first)]
        assert lab_command("part", "--name", lab.name, other, "no-errors").returncode == 0
    part(lab, "errors")
    try:
        statuses.append(asked_from(lab, port))
    finally:
        part(lab, "no-errors")
    statuses.append(asked_from(lab, port))
    assert statuses == [300, 503, 300]


@pytest.mark.lab
def test_a_request_that_is_held_when_the_fault_ends_is_cut_at_once(lab: Deployment) -> None:
    """The relay's end reaches its clients, who would else wait for as long as they are willing to."""
    part(lab, "slow")
    try:
        client = connected(lab)
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    finally:
        part(lab, "fast")
    with client:
        try:
            answer = client.recv(100)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 300")


def asked_from(lab: Deployment, port: int) -> int:
    """The status of a request to the first REST backend from a port of ours."""
    with connected(lab, port) as client:
        return asked_on(client)


def connected(lab: Deployment, port: int = 0) -> socket.socket:
    """A connection to the first REST backend from a port of ours, which is free once it is closed."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.settimeout(5)
    client.bind(("127.0.0.1", port))
    host, _, to = lab.rest.backends[0].address.partition(":")
    client.connect((host, int(to)))
    return client


def asked_on(client: socket.socket) -> int:
    """The status of a request on a connection that is kept."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
    return int(client.recv(4096).split()[1])


@pytest.mark.lab
def test_an_engine_has_no_faults_of_an_api(lab: Deployment) -> None:
    """A fault that an engine cannot have is refused in one line."""
    done = lab_command("part", "--name", lab.name, "engine-1", "slow")
    assert done.returncode == 2
    assert "valid: a REST or CFN part" in done.stderr


@pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/sbin:/usr/bin") is None, reason="no nftables")
@pytest.mark.lab
def test_tables_of_other_labs_stay(lab: Deployment) -> None:
    """Clearing a lab of another name removes none of this one's tables."""
    from calorimeter.lab import part_faults

    part(lab, "unreachable")
    try:
        part_faults.clear(lab.name[:-1])
        assert asked(lab) == 0
    finally:
        part(lab, "reachable")
    assert asked(lab) == 300


@pytest.mark.slow
def test_the_relay_answers_late_or_wrong(tmp_path: Path) -> None:
    """The relay alone: every answer on a connection comes late, or is its status."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert relayed(tmp_path, port, "--status", "503")[1].startswith(b"HTTP/1.1 503")
        took, answer = relayed(tmp_path, port, "--delay-s", "0.4", server=server)
        assert answer == b"HTTP/1.0 200 OK\r\n\r\n"
        assert took >= TURNS * 0.4


@pytest.mark.slow
def test_the_relay_answers_late_or_wrong_through_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is verified as the API in its place, and verifies the API."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    files = tmp_path / "tls"
    tls_files.write(files, "one", ())
    with socket.socket() as plain:
        plain.bind(("127.0.0.1", 0))
        plain.listen()
        port, words = plain.getsockname()[1], ("--tls", str(files))
        with tls_files.server_context(files).wrap_socket(plain, server_side=True) as server:
            answer = relayed(tmp_path, port, "--status", "503", *words, tls=files)[1]
            assert answer.startswith(b"HTTP/1.1 503")
            took, answer = relayed(tmp_path, port, "--delay-s", "0.4", *words, server=server, tls=files)
            assert answer == b"HTTP/1.0 200 OK\r\n\r\n"
            assert took >= TURNS * 0.4


def relayed(
    folder: Path, port: int, *words: str, server: socket.socket | None = None, tls: Path | None = None
) -> tuple[float, bytes]:
    """Duration and last answer of the requests on one connection; one request without a server behind."""
    port_file = folder / f"relay{words[0]}.port"
    command = [
        sys.executable,
        "-m",
        "calorimeter.lab.fault_relay",
        str(port_file),
        "127.0.0.2",
        "127.0.0.1",
        str(port),
        *words,
    ]
    relay = subprocess.Popen(command)
    try:
        until(port_file.exists, 10)
        listening = int(port_file.read_text(encoding="utf-8"))
        began = time.monotonic()
        client: socket.socket = socket.create_connection(("127.0.0.1", listening), 5)
        if tls:
            client = tls_files.client_context(tls).wrap_socket(client, server_hostname="127.0.0.1")
        with client:
            if server is None:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return time.monotonic() - began, client.recv(100)
            behind, _ = server.accept()
            with behind:
                for _ in range(TURNS):
                    client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    assert behind.recv(100)
                    behind.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                    answer = client.recv(100)
        return time.monotonic() - began, answer
    finally:
        relay.kill()
        relay.wait()
