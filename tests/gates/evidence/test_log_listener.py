"""Receiving a log by UDP, and from a file that grows, is rotated or truncated."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core.deployment import Address, Proxy
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.log_listener import FileLog, LogSource, UdpLog, log_source, open_logs

ANY_PORT = Address(host="127.0.0.1", port=0)


def texts(log: LogSource) -> list[str]:
    """The lines received."""
    return [line.text for line in log.lines()]


def send(log: UdpLog, *datagrams: bytes) -> None:
    """Send datagrams to a listener."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", log.address.port))


def test_udp_lines_in_order() -> None:
    """Datagrams become lines in order, without the newline, with the time of receipt."""
    before = time.time_ns()
    with UdpLog(ANY_PORT) as log:
        send(log, b"one\n", b"two", b"three\nfour\n", b"\n", b"\xff\n")
        assert log.wait_for(lambda lines: len(lines) == 5, 5.0)
        assert texts(log) == ["one", "two", "three", "four", "\ufffd"]
        assert all(before <= line.received_ns <= time.time_ns() for line in log.lines())
        assert (log.dropped, log.doubts) == (0, ())


def test_drain_forgets() -> None:
    """Draining returns the lines once; a snapshot leaves them."""
    with UdpLog(ANY_PORT) as log:
        send(log, b"one", b"two")
        assert log.wait_for(lambda lines: len(lines) == 2, 5.0)
        assert len(log.lines()) == 2
        assert [line.text for line in log.drain()] == ["one", "two"]
        assert log.lines() == ()


def test_wait_ends_at_its_deadline() -> None:
    """Waiting for a line that never comes ends at its deadline."""
    with UdpLog(ANY_PORT) as log:
        begun = time.monotonic()
        assert not log.wait_for(bool, 0.05)
        assert time.monotonic() - begun < 1.0


def test_lines_sent_before_the_end_are_kept() -> None:
    """Datagrams that were in the buffer when the listener was closed are still read."""
    with UdpLog(ANY_PORT) as log:
        send(log, *(b"%d" % i for i in range(200)))
    assert texts(log) == [str(i) for i in range(200)]


def test_kernel_drops_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams that did not fit the buffer are counted exactly, while the log is received and after."""
    monkeypatch.setattr("calorimeter.gates.evidence.log_listener.RECEIVE_BUFFER", 4096)
    sent = 0

    def flooded() -> bool:
        nonlocal sent
        send(log, *[b"x" * 500] * 300)
        sent += 300
        return log.dropped > 0

    with UdpLog(ANY_PORT) as log:
        until(flooded, 30, every_s=0)
        assert log.wait_for(lambda lines: len(lines) == sent - log.dropped, 5.0)
        lost = log.dropped
        assert log.doubts == (f"the kernel dropped {lost} log datagrams at {log.where}",)
    assert log.dropped == lost


def test_an_address_in_use_is_refused() -> None:
    """The error says what to do about it."""
    with UdpLog(ANY_PORT) as log, pytest.raises(InputError, match="another program listens there: stop it"):
        UdpLog(log.address).__enter__()


def test_an_address_of_another_machine_is_refused() -> None:
    """The error says why."""
    with pytest.raises(InputError, match="not an address of this machine"):
        UdpLog(Address(host="192.0.2.1", port=5140)).__enter__()


def test_ipv6_listener() -> None:
    """IPv6 addresses can be listened on."""
    with (
        UdpLog(Address(host="::1", port=0)) as log,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
    ):
        sender.sendto(b"six", ("::1", log.address.port))
        assert log.wait_for(lambda lines: [line.text for line in lines] == ["six"], 5.0)
        assert log.where == f"udp://[::1]:{log.address.port}"


def append(path: Path, text: str) -> None:
    """Write to the end of a file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def got(log: LogSource, *lines: str) -> bool:
    """Whether exactly these lines are received within five seconds."""
    return log.wait_for(lambda have: [line.text for line in have] == list(lines), 5.0)


def test_file_from_its_end(tmp_path: Path) -> None:
    """Only whole lines written from now on count, even if the file ended within a line."""
    path = tmp_path / "haproxy.log"
    path.write_text("old\nhalf of an old")
    with FileLog(path) as log:
        append(path, " line\nnew\nbegun")
        assert got(log, "new")
        append(path, " and ended\n")
        assert got(log, "new", "begun and ended")
    assert log.doubts == ()


def test_file_that_is_created_later(tmp_path: Path) -> None:
    """A file that does not exist yet is read from its beginning once it exists."""
    path = tmp_path / "haproxy.log"
    with FileLog(path) as log:
        append(path, "first\n")
        assert got(log, "first")


def test_file_rotated(tmp_path: Path) -> None:
    """Rotation by rename loses nothing: the old file is read to its end, then the new one."""
    path = tmp_path / "haproxy.log"
    path.write_text("")
    with FileLog(path) as log:
        append(path, "1\n")
        assert got(log, "1")
        with path.open("a") as held:
            path.rename(tmp_path / "haproxy.log.1")
            held.write("2\n")
        append(path, "3\n")
        assert got(log, "1", "2", "3")
        path.unlink()
        append(path, "4\n")
        assert got(log, "1", "2", "3", "4")
    assert log.doubts == ()


def test_file_truncated(tmp_path: Path) -> None:
    """Truncation (copytruncate) may lose lines: reading continues, and a doubt is reported."""
    path = tmp_path / "haproxy.log"
    path.write_text("")
    with FileLog(path) as log:
        append(path, "a long line\n")
        assert got(log, "a long line")
        path.write_text("new\n")
        assert got(log, "a long line", "new")
    assert log.doubts == (f"{path} was truncated: lines written just before may be missing",)


def test_file_that_ends_within_a_line(tmp_path: Path) -> None:
    """A last line without its end is not evidence, and is reported."""
    path = tmp_path / "haproxy.log"
    path.write_text("")
    with FileLog(path) as log:
        append(path, "whole\nhal")
        assert got(log, "whole")
    assert texts(log) == ["whole"]
    assert log.doubts == (f"the last line of {path} was only half written: b'hal'",)


def test_file_lines_written_before_the_end(tmp_path: Path) -> None:
    """Lines written before the reader was closed are still read."""
    path = tmp_path / "haproxy.log"
    path.write_text("")
    with FileLog(path) as log:
        append(path, "last\n")
    assert texts(log) == ["last"]


def test_file_without_folder(tmp_path: Path) -> None:
    """A missing folder is an error at once, not an endless wait."""
    with pytest.raises(InputError, match="the folder .*nowhere does not exist"):
        FileLog(tmp_path / "nowhere" / "haproxy.log").__enter__()


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """The rights of user nobody, if the tests run as root, who may read everything."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield
    os.seteuid(was)


@pytest.mark.usefixtures("unprivileged")
def test_file_without_permission() -> None:
    """A file that may not be read is an error at once."""
    with pytest.raises(InputError, match="cannot be read"):
        FileLog(Path("/etc/shadow")).__enter__()


def test_sources_of_a_proxy() -> None:
    """The URLs of the deployment file become log sources, in their order."""
    sources = open_logs(Proxy(logs=("udp://127.0.0.1:5140", "udp://[::1]:5141")))
    assert [source.where for source in sources] == ["udp://127.0.0.1:5140", "udp://[::1]:5141"]
    assert isinstance(log_source("file:///var/log/haproxy.log"), FileLog)


@pytest.mark.parametrize(
    "url", ["udp://127.0.0.1", "udp://:5140", "file://relative.log", "tcp://h:1", "udp://h:x"]
)
def test_other_urls_are_refused(url: str) -> None:
    """A URL that names no log source is refused."""
    with pytest.raises(InputError, match="valid: udp://HOST:PORT"):
        log_source(url)
