"""The commands that drain servers, against a real HAProxy's stats sockets."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.control.control_host import ControlHost
from calorimeter.core.control.server_state import AdminSocket
from calorimeter.core.faults.shell_command import CommandFailed, run
from calorimeter.core.waiting import until

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(HAPROXY is None, reason="needs the haproxy program")]

CONFIG = """\
global
    stats socket {folder}/admin.sock level admin
    stats socket {folder}/operator.sock level operator
    stats socket 127.0.0.1:{port} level admin
defaults
    timeout connect 1s
    timeout client 1s
    timeout server 1s
listen rest_api_proxy
    bind {folder}/front.sock
    server ctl-01 127.0.0.1:9
"""


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int]]:
    """The folder and the TCP stats port of a HAProxy that runs."""
    folder, port = tmp_path_factory.mktemp("haproxy"), free_port()
    (folder / "haproxy.cfg").write_text(CONFIG.format(folder=folder, port=port))
    assert HAPROXY is not None
    process = subprocess.Popen([HAPROXY, "-db", "-f", str(folder / "haproxy.cfg")])
    try:
        until((folder / "admin.sock").exists, 20)
        yield folder, port
    finally:
        process.kill()
        process.wait()


def ask(path: Path, line: str) -> str:
    """The answer of a stats socket."""
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(str(path))
        to.sendall(f"{line}\n".encode())
        return b"".join(iter(lambda: to.recv(4096), b"")).decode()


@pytest.mark.parametrize("where", ["unix://{folder}/admin.sock", "tcp://127.0.0.1:{port}"])
def test_a_server_is_drained_and_ready_again(proxy: tuple[Path, int], where: str) -> None:
    """Both may be repeated."""
    folder, port = proxy
    admin = AdminSocket(ControlHost(), where.format(folder=folder, port=port))
    for state, shown in (("drain", "DRAIN"), ("ready", "no check")):
        for _ in range(2):
            run(admin.set_state("rest_api_proxy", "ctl-01", state))
        rows = ask(folder / "admin.sock", "show stat").splitlines()
        (row,) = (row for row in rows if row.startswith("rest_api_proxy,ctl-01,"))
        assert row.split(",")[17] == shown


@pytest.mark.parametrize(
    ("where", "server", "why"),
    [
        ("unix://{folder}/admin.sock", "ctl-02", "No such server"),
        ("unix://{folder}/operator.sock", "ctl-01", "Permission denied"),
        ("unix://{folder}/none.sock", "ctl-01", "No such file"),
        ("tcp://127.0.0.1:1", "ctl-01", "refused"),
    ],
)
def test_a_refusal_fails_with_haproxys_own_words(
    proxy: tuple[Path, int], where: str, server: str, why: str
) -> None:
    """A socket below level admin, a server that is not there, a socket that is not there."""
    folder, port = proxy
    admin = AdminSocket(ControlHost(), where.format(folder=folder, port=port))
    with pytest.raises(CommandFailed, match=why):
        run(admin.set_state("rest_api_proxy", server, "drain"))
