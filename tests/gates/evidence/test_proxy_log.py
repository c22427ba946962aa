"""Lines of HAProxy's log, as HAProxy 2.6.12 and its manual write them."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from contextlib import suppress
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calorimeter.core.deployment import Address
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.log_listener import UdpLog
from calorimeter.gates.evidence.proxy_log import (
    LoggedAccept,
    LoggedConnection,
    LogLine,
    Notice,
    ServerEvent,
    UnparsedLine,
    parse,
    read,
    without_header,
)

TCP = "127.0.0.12:42190 [22/Nov/2026:19:07:22.097] t t/a 1/0/2 264 -- 1/2/3/4/0 5/6"
HTTP = (
    "127.0.0.1:49080 [22/Nov/2026:19:07:28.137] h h/a 3/0/1/12/16 401 263 - - ---- 1/1/0/0/0 0/0 "
    '{127.0.0.1:18406} "GET /stats HTTP/1.1"'
)


def test_tcplog() -> None:
    """Every field of a tcplog line is read."""
    assert parse(LogLine(7, TCP), UTC) == LoggedConnection(
        mode="tcp",
        received_ns=7,
        client="127.0.0.12",
        client_port=42190,
        accepted_ns=1795374442_097_000_000,
        frontend="t",
        tls=False,
        backend="t",
        server="a",
        queue_ms=1,
        connect_ms=0,
        total_ms=2,
        early=False,
        bytes_sent=264,
        termination="--",
        process_connections=1,
        frontend_connections=2,
        backend_connections=3,
        server_connections=4,
        retries=0,
        redispatched=False,
        server_queue=5,
        backend_queue=6,
    )


def test_httplog() -> None:
    """Every further field of an httplog line is read."""
    line = parse(HTTP, UTC)
    assert isinstance(line, LoggedConnection)
    assert (line.mode, line.status, line.request) == ("http", 401, "GET /stats HTTP/1.1")
    assert (line.request_ms, line.queue_ms, line.connect_ms, line.response_ms, line.total_ms) == (
        3,
        0,
        1,
        12,
        16,
    )
    assert (line.server, line.termination, line.bytes_sent) == ("a", "----", 263)


def connection(text: str) -> LoggedConnection:
    """The connection of one line."""
    line = parse(text, UTC)
    assert isinstance(line, LoggedConnection), line
    return line


@pytest.mark.parametrize(
    ("given_client", "client", "port"),
    [
        ("::1:33276", "::1", 33276),
        ("2001:db8::12:1:443", "2001:db8::12:1", 443),
        ("::ffff:10.1.2.3:50000", "::ffff:10.1.2.3", 50000),
        ("unix:3", "unix", 3),
    ],
)
def test_clients(given_client: str, client: str, port: int) -> None:
    """The last colon separates IPv4, IPv6, mapped and Unix clients from their port."""
    line = connection(TCP.replace("127.0.0.12:42190", given_client))
    assert (line.client, line.client_port) == (client, port)


def test_no_server_and_aborted_times() -> None:
    """`<NOSRV>` is no server, and −1 is a phase that was not reached."""
    line = connection("10.0.0.1:1 [22/Nov/2026:19:07:22.097] t t/<NOSRV> -1/-1/0 0 SC 1/1/0/0/0 0/0")
    assert (line.server, line.queue_ms, line.connect_ms, line.total_ms) == (None, None, None, 0)
    assert line.termination == "SC"


def test_redispatch_tls_and_logasap() -> None:
    """A plus marks a redispatch or an early line, a tilde a TLS frontend."""
    line = connection("10.0.0.1:1 [22/Nov/2026:19:07:22.097] t~ b/s 1/0/+45 +65 -- 1/1/0/0/+1 0/0")
    assert (line.redispatched, line.retries, line.early, line.total_ms) == (True, 1, True, 45)
    assert (line.tls, line.frontend, line.backend, line.bytes_sent) == (True, "t", "b", 65)


@pytest.mark.parametrize(
    ("tail", "request_line"),
    [
        ('"<BADREQ>"', "<BADREQ>"),
        ('{a b|c} {x} "POST /v1/%7Bt%7D/stacks HTTP/1.1"', "POST /v1/%7Bt%7D/stacks HTTP/1.1"),
        ('"GET /cut-at-the-end-of-a-datagr', "GET /cut-at-the-end-of-a-datagr"),
        ('"GET / HTTP/1.1" 0/0000000000000000/0/0/0 x/TLSv1.3/TLS_AES_256_GCM_SHA384', "GET / HTTP/1.1"),
        ("", None),
    ],
)
def test_requests(tail: str, request_line: str | None) -> None:
    """Captured headers, truncated requests and `httpslog`'s additions do not hide the request."""
    line = connection(
        f"1.2.3.4:5 [22/Nov/2026:19:07:28.137] h h/a 0/0/0/0/0 200 9 - - ---- 1/1/0/0/0 0/0 {tail}"
    )
    assert (line.request, line.status) == (request_line, 200)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "<134>",
        "<134>Nov 22 19:07:22 haproxy[7789]: ",
        "<134>Nov  2 19:07:22 haproxy: ",
        "Nov 22 19:07:22 ctl1 haproxy[7789]: ",
        "<134>Nov 22 19:07:22 ctl1.example.org haproxy[7789]: ",
        "2026-11-22T19:07:22.123456+01:00 ctl1 haproxy[7789]: ",
        "2026-11-22T19:07:22Z ctl1 haproxy: ",
        "<134>1 2026-11-22T19:07:22.123456+01:00 ctl1 haproxy 7789 - - ",
        '<134>1 2026-11-22T19:07:22Z ctl1 haproxy 7789 - [a@1 k="v\\]"][b@2] ',
    ],
)
@pytest.mark.parametrize("message", [TCP, HTTP, "Proxy t started."])
def test_headers(header: str, message: str) -> None:
    """Headers of RFC 3164, RFC 5424 and rsyslog's file format are removed, with or without a host."""
    assert without_header(f"{header}{message}\n\x00") == message


def test_zone() -> None:
    """HAProxy logs local time without a zone; the proxy's zone determines the moment."""
    east = parse(TCP, timezone(timedelta(hours=2)))
    here = parse(TCP, UTC)
    assert isinstance(east, LoggedConnection)
    assert isinstance(here, LoggedConnection)
    assert here.accepted_ns - east.accepted_ns == 2 * 3600 * 10**9


def test_accepted_without_server() -> None:
    """Without `option tcplog` a line names the client, but no server."""
    assert parse(
        "<134>Nov 22 19:07:22 haproxy[7]: Connect from ::1:48186 to 10.0.0.9:8004 (heat/TCP)"
    ) == LoggedAccept(
        received_ns=0,
        client="::1",
        client_port=48186,
        to="10.0.0.9",
        to_port=8004,
        frontend="heat",
        mode="tcp",
    )


LEFT = "1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue."
ONLINE = "3 active and 1 backup servers online. 0 sessions requeued, 0 total in queue."
REFUSED = 'Layer4 connection problem, info: "Connection refused"'

EVENTS = [
    (f"Server t/b is DOWN, reason: {REFUSED}, check duration: 0ms. {LEFT}", "DOWN", REFUSED),
    (
        f"Server t/b is DOWN, reason: Layer7 wrong status, code: 503, check duration: 2ms. {LEFT}",
        "DOWN",
        "Layer7 wrong status",
    ),
    (
        f"Server t/b is UP, reason: Layer4 check passed, check duration: 0ms. {ONLINE}",
        "UP",
        "Layer4 check passed",
    ),
    (f"Server t/b is UP. {ONLINE}", "UP", None),
    ("Server t/b is UP/READY (leaving forced maintenance).", "UP", None),
    ("Server t/b is UP (leaving forced drain).", "UP", None),
    (f"Server t/b enters drain state. {ONLINE}", "DRAIN", None),
    (f"Server t/b is going DOWN for maintenance. {LEFT}", "MAINT", None),
    ("Server t/b was DOWN and now enters maintenance.", "MAINT", None),
    (f"Server t/b is stopping, changed from CLI. {ONLINE}", "STOPPING", None),
    (f"Backup Server t/b is DOWN. {LEFT}", "DOWN", None),
    (
        "Health check for backup server t/b failed, reason: Layer4 timeout, check duration: 200ms, "
        "status: 0/2 DOWN.",
        "CHECK",
        "Layer4 timeout",
    ),
]


@pytest.mark.parametrize(("text", "state", "reason"), EVENTS)
def test_server_events(text: str, state: str, reason: str | None) -> None:
    """The new state of a server and its reason are read from each of HAProxy's messages."""
    event = parse(LogLine(5, f"<129>Nov 22 19:07:17 haproxy[7789]: {text}"))
    assert isinstance(event, ServerEvent)
    assert (event.section, event.server, event.state, event.reason) == ("t", "b", state, reason)
    assert (event.received_ns, event.text) == (5, text)


@pytest.mark.parametrize(
    "text",
    [
        "Proxy t started.",
        "Proxy t stopped (cumulated conns: FE: 1, BE: 1).",
        "proxy t has no server available!",
        "backend t has no server available!",
        "Paused proxy srv.",
        "10.0.0.1:1 [22/Nov/2026:19:07:25.119] h/1: SSL handshake failure",
    ],
)
def test_notices(text: str) -> None:
    """HAProxy's other messages are notices."""
    assert parse(text) == Notice(received_ns=0, text=text)


def test_unparsed_lines_are_quoted() -> None:
    """A line of unknown format is kept, counted and quoted; an empty one is skipped."""
    log = read([TCP, "", "\n", "somebody else's line", TCP.replace("264", "many")], UTC)
    assert len(log.connections) == 1
    assert [line.text for line in log.unparsed] == ["somebody else's line", TCP.replace("264", "many")]
    assert log.doubt is not None
    assert log.doubt.startswith('2 log lines could not be parsed: "somebody else\'s line"; ')
    assert read([TCP], UTC).doubt is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("22/Nov", "99/Nov"),
        ("22/Nov", "31/Feb"),
        ("Nov", "Ebm"),
        ("Nov", "Xyz"),
        ("2026", "0000"),
        ("22/Nov", "٢٢/Nov"),
        ("264", "9" * 4400),
        (":42190", ":" + "9" * 4400),
        (" 5/6", " 5/٦"),
    ],
)
def test_what_haproxy_cannot_have_written_is_an_unparsed_line(old: str, new: str) -> None:
    """A day, a month or a number that does not exist makes the line one of no known format."""
    line = TCP.replace(old, new)
    assert parse(line, UTC) == UnparsedLine(received_ns=0, text=line)


@given(st.text())
def test_any_text_is_some_entry(text: str) -> None:
    """No text makes the parser fail."""
    assert isinstance(parse(text), LoggedConnection | LoggedAccept | ServerEvent | Notice | UnparsedLine)


def test_order_is_kept() -> None:
    """The entries of each kind are in the order of their lines."""
    log = read(
        [f"<134>Nov 22 19:07:22 haproxy[1]: {TCP.replace(':42190', f':{port}')}" for port in range(9)]
    )
    assert [line.client_port for line in log.connections] == list(range(9))


@pytest.mark.lab
def test_every_line_of_a_real_haproxy_is_parsed(tmp_path: Path) -> None:
    """tcplog, httplog and bare lines, with and without a server, are received by UDP and parsed."""
    with UdpLog(Address(host="127.0.0.1", port=0)) as log:
        config = tmp_path / "haproxy.cfg"
        config.write_text(f"""
global
  log 127.0.0.1:{log.address.port} local0
defaults
  log global
  timeout connect 1s
  timeout client 2s
  timeout server 2s
listen tcp
  mode tcp
  option tcplog
  bind {tmp_path}/tcp.sock
  balance source
  server a unix@{tmp_path}/http.sock
listen http
  mode http
  option httplog
  bind {tmp_path}/http.sock
  http-request return status 200 content-type text/plain string x
listen bare
  mode tcp
  bind {tmp_path}/bare.sock
  server a unix@{tmp_path}/http.sock
listen none
  mode tcp
  option tcplog
  bind {tmp_path}/none.sock
""")
        started = time.time_ns()
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(config)], stderr=subprocess.DEVNULL)
        try:
            for name in ("tcp", "bare", "none"):
                get(tmp_path / f"{name}.sock")
            assert log.wait_for(lambda lines: len(lines) >= 5, 5.0)
        finally:
            process.send_signal(signal.SIGUSR1)  # a soft stop, which is logged
            process.wait(10)
        assert log.wait_for(lambda lines: len(lines) >= 9, 5.0)  # four proxies log that they stop
        entries = read(log.lines())
    assert entries.unparsed == ()
    assert {(c.mode, c.frontend, c.server) for c in entries.connections} == {
        ("tcp", "tcp", "a"),
        ("http", "http", None),
        ("tcp", "none", None),
    }
    assert [line.frontend for line in entries.accepted] == ["bare"]
    assert all(abs(c.accepted_ns - started) < 10 * 10**9 for c in entries.connections)
    notices = " ".join(notice.text for notice in entries.notices)
    assert all(f"Proxy {name} stopped" in notices for name in ("tcp", "http", "bare", "none"))
    assert log.dropped == 0


def get(path: Path) -> None:
    """Send one request, once a server listens at `path`."""
    with socket.socket(socket.AF_UNIX) as client:
        until(lambda: client.connect_ex(str(path)) == 0, 5, every_s=0.01)
        with suppress(OSError):  # closed at once if the section has no server
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            while client.recv(4096):
                pass
