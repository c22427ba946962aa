"""HAProxy's statistics: their formats, and the sockets and pages that show them."""

from __future__ import annotations

import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import until
from calorimeter.gates.evidence.proxy_state import (
    LiveSession,
    ServerStat,
    ServerState,
    read_info,
    read_servers_state,
    read_sessions,
    read_stat,
)
from calorimeter.gates.evidence.proxy_stats import StatsPage, StatsSocket
from calorimeter.gates.evidence.stats_sources import ProxyStats
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable, NotVisible

STAT = '''# pxname,svname,qcur,qmax,scur,stot,econ,wretr,wredis,status,weight,chkfail,chkdown,lastchg,sid,\
type,check_status,check_code,check_duration,last_chk,addr,cookie,mode,algo,a_column_of_4.0,
t,FRONTEND,,,0,5,,,,OPEN,,,,,0,0,,,,,,,tcp,,x,
t,a,0,1,2,154,3,9,1,UP 1/2,1,4,5,15,1,2,L7OK,200,7,"HTTP status check returned code ""200""",\
127.0.0.1:1,c,tcp,,x,
t,b,0,0,0,0,0,0,0,no check,3,,,15,2,2,,,,,[::1]:18499,,tcp,,x,
t,BACKEND,0,0,0,5,3,9,1,UP,4,,0,15,0,1,,,,,,,tcp,source,x,

'''


def test_rows_of_stat() -> None:
    """Rows are read by the names in the header; empty figures are None, new columns ignored."""
    front, first, second, back = read_stat(STAT)
    assert (front.kind, front.name, front.stot, front.econ) == ("frontend", "FRONTEND", 5, None)
    assert first == ServerStat(
        section="t", name="a", kind="server", status="UP 1/2", weight=1, qcur=0, qmax=1, scur=2, stot=154,
        econ=3, wretr=9, wredis=1, chkfail=4, chkdown=5, lastchg=15, sid=1, check_status="L7OK",
        check_code=200, check_duration=7, last_chk='HTTP status check returned code "200"',
        addr="127.0.0.1:1", cookie="c", mode="tcp",
    )  # fmt: skip
    assert (second.status, second.weight, second.check_status, second.addr) == (
        "no check",
        3,
        None,
        "[::1]:18499",
    )
    assert (back.kind, back.algo) == ("backend", "source")


@pytest.mark.parametrize(
    ("status", "weight", "takes"),
    [
        ("UP", 1, True),
        ("UP 1/3", 1, True),
        ("no check", 1, True),
        ("UP", 0, False),
        ("DOWN", 1, False),
        ("DOWN 1/2", 1, False),
        ("MAINT", 1, False),
        ("MAINT (via t/b)", 1, False),
        ("DRAIN", 1, False),
        ("NOLB", 1, False),
    ],
)
def test_which_servers_take_connections(status: str, weight: int, takes: bool) -> None:
    """UP, going down and unchecked servers with a weight take new connections, others do not."""
    stat = ServerStat(section="t", name="a", kind="server", status=status, weight=weight)
    assert stat.takes_connections == takes


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("<html>a page</html>", "is not HAProxy statistics: '<html>a page</html>'"),
        ("", "is not HAProxy statistics: ''"),
        ("# pxname,svname,status,type\nt,a,UP,9\n", "a row of unknown type '9'"),
        ("# pxname,svname,status,type,scur\nt,a,UP,2,many\n", "column scur holds 'many', not a number"),
        ("# pxname,svname,status,type\nt\n", "a row of unknown type None"),
    ],
)
def test_no_stat(text: str, why: str) -> None:
    """Another text is refused, and quoted."""
    with pytest.raises(EvidenceUnavailable, match=why.replace("(", r"\(")):
        read_stat(text, "tcp://h:1")


def test_info() -> None:
    """`show info` is names and values; values may hold colons."""
    info = read_info("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nBuild info: a: b\n\n")
    assert info == {"Name": "HAProxy", "Version": "2.6.12-1+deb12u4", "Build info": "a: b"}


SESS = """\
0x1: proto=tcpv4 src=127.0.0.1:41234 fe=t be=t srv=a ts=00 epoch=0 age=1s calls=2 rate=0 rq[f=80h,i=0]
0x2: proto=tcpv6 src=2001:db8::1:443 fe=t be=t srv=<none> ts=00 age=0s calls=1
0x3: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> ts=00 age=0s
0x4: proto=unix_stream src=unix:4 fe=h be=<NONE> srv=<none> ts=00 age=0s

"""


def test_sessions() -> None:
    """Live sessions give their client and server; the stats socket's own is left out."""
    assert read_sessions(SESS) == (
        session("0x1", "127.0.0.1", 41234, "t", "t", "a"),
        session("0x2", "2001:db8::1", 443, "t", "t", None),
        session("0x4", "unix", 4, "h", None, None),
    )


def session(
    identity: str, client: str, port: int, frontend: str, backend: str | None, server: str | None
) -> LiveSession:
    """A live session."""
    return LiveSession(
        id=identity, client=client, client_port=port, frontend=frontend, backend=backend, server=server
    )


STATE = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_port
3 t 1 a 127.0.0.1 2 0 1 1 15 6 18404
3 t 7 b ::1 0 1 4 2 3 8 18499

"""


def test_servers_state() -> None:
    """Servers' states are read by the names in the header."""
    assert read_servers_state(STATE) == (
        ServerState(
            section="t",
            server="a",
            puid=1,
            address="127.0.0.1",
            port=18404,
            operational="running",
            admin=0,
            weight=1,
            initial_weight=1,
            since_change_s=15,
        ),
        ServerState(
            section="t",
            server="b",
            puid=7,
            address="::1",
            port=18499,
            operational="stopped",
            admin=1,
            weight=4,
            initial_weight=2,
            since_change_s=3,
        ),
    )


def test_no_servers_state() -> None:
    """Another text is refused."""
    with pytest.raises(EvidenceUnavailable, match="is not HAProxy's servers state"):
        read_servers_state("<html>")


@pytest.mark.parametrize("url", ["unix://", "tcp://host", "http://h:1/"])
def test_urls_that_name_no_socket(url: str) -> None:
    """A URL that names no socket is refused."""
    with pytest.raises(InputError, match="valid: unix:///PATH or tcp://HOST:PORT"):
        StatsSocket(url)


def test_socket_without_listener(tmp_path: Path) -> None:
    """A socket that is not there, and a port where nobody listens, are unavailable with the reason."""
    with pytest.raises(EvidenceUnavailable, match=r"^unix://.*/no\.sock: No such file or directory$"):
        StatsSocket(f"unix://{tmp_path}/no.sock").show_stat()
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with pytest.raises(EvidenceUnavailable, match=rf"^tcp://127.0.0.1:{port}: Connection refused$"):
        StatsSocket(f"tcp://127.0.0.1:{port}").show_stat()
    with pytest.raises(EvidenceUnavailable, match=rf"^http://127.0.0.1:{port}/s: Connection refused$"):
        StatsPage(f"http://127.0.0.1:{port}/s").show_stat()


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """With $http_proxy set the page is still read at its own address."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(STAT.encode())

        def log_message(self, *args: object) -> None:
            """Write no log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        rows = StatsPage(f"http://127.0.0.1:{server.server_port}/s").show_stat()
        server.shutdown()
        thread.join()
    assert [row.name for row in rows] == ["FRONTEND", "a", "b", "BACKEND"]


def test_socket_that_does_not_answer() -> None:
    """The wait ends at its deadline, whether the socket sends nothing or one byte after another."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(EvidenceUnavailable, match=r"no complete answer to 'show stat' in 0\.1 s"):
            StatsSocket(f"tcp://127.0.0.1:{port}", timeout_s=0.1).show_stat()

        def drip() -> None:
            connection = silent.accept()[0]  # the first one, whose client has closed it
            with silent.accept()[0] as second, suppress(OSError):
                connection.close()
                for _ in range(100):
                    second.sendall(b"x")
                    time.sleep(0.02)

        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(EvidenceUnavailable, match="no complete answer"):
            StatsSocket(f"tcp://127.0.0.1:{port}", timeout_s=0.2).show_stat()
        assert time.monotonic() - begun < 1.5
        thread.join()


@dataclass(frozen=True)
class Shown:
    """A HAProxy with every kind of stats source."""

    folder: Path
    port: int

    @property
    def page(self) -> str:
        """Its stats page."""
        return f"http://127.0.0.1:{self.port}/stats"


CONFIG = """
global
  stats socket {folder}/admin.sock mode 600 level admin
  stats socket ipv4@127.0.0.1:{tcp} level user
defaults
  timeout connect 2s
  timeout client 5s
  timeout server 5s
listen page
  mode http
  bind 127.0.0.1:{port}
  stats enable
  stats uri /stats
  stats auth watcher:s3cr3t-of-the-page
listen t
  mode tcp
  bind 127.0.0.1:{front}
  balance source
  server a 127.0.0.1:{port} weight 2
  server b 127.0.0.1:1 disabled
"""


def answers(stats: StatsSocket) -> bool:
    """Whether a stats socket answers."""
    try:
        return bool(stats.show_info())
    except EvidenceUnavailable:
        return False


@pytest.fixture(scope="module")
def haproxy() -> Iterator[tuple[Shown, int, int]]:
    """A HAProxy with a Unix socket, a TCP socket and a page: (it, the TCP socket's port, port of `t`)."""
    with tempfile.TemporaryDirectory(prefix="stats-") as name:
        folder = Path(name)
        with (
            socket.create_server(("127.0.0.1", 0)) as one,
            socket.create_server(("127.0.0.1", 0)) as two,
            socket.create_server(("127.0.0.1", 0)) as three,
        ):
            port, tcp, front = (held.getsockname()[1] for held in (one, two, three))
        file = folder / "haproxy.cfg"
        file.write_text(CONFIG.format(folder=folder, port=port, tcp=tcp, front=front))
        process = subprocess.Popen(["haproxy", "-q", "-db", "-f", str(file)])
        try:
            until(lambda: answers(StatsSocket(f"unix://{folder}/admin.sock")), 5, every_s=0.01)
            yield Shown(folder, port), tcp, front
        finally:
            process.kill()
            process.wait()


DEPLOYMENT = """
name = "d"
[rest]
url = "http://127.0.0.1:8004/v1"
proxy_section = "t"
backends = [{{ name = "a", address = "127.0.0.1:1" }}]
[[proxy]]
stats = ["{page}", "unix://{folder}/admin.sock", "tcp://127.0.0.1:{tcp}"]
stats_user = "watcher"
stats_password = {{ env = "PAGE_PASSWORD" }}
"""


@pytest.mark.lab
def test_every_source_shows_the_same(
    haproxy: tuple[Shown, int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unix socket, TCP socket and page with a password show the same servers, sockets first."""
    shown, tcp, front = haproxy
    path = tmp_path / "deployment.toml"
    path.write_text(DEPLOYMENT.format(page=shown.page, folder=shown.folder, tcp=tcp))
    monkeypatch.setenv("PAGE_PASSWORD", "s3cr3t-of-the-page")
    deployment = deployments.read(path)
    sources = ProxyStats(deployment, deployment.proxy[0]).sources
    assert [source.shows_sessions for source in sources] == [True, True, False]
    with socket.create_connection(("127.0.0.1", front)) as client:
        mine = client.getsockname()
        for source in sources:
            rows = {(row.section, row.name): row for row in source.show_stat()}
            assert (rows["t", "a"].status, rows["t", "a"].weight, rows["t", "a"].sid) == ("no check", 2, 1)
            assert (rows["t", "b"].status, rows["t", "b"].takes_connections) == ("MAINT", False)
        sessions = until(lambda: [s for s in sources[0].show_sess() if s.frontend == "t"], 5)
    assert [(s.client, s.client_port, s.server) for s in sessions] == [(*mine, "a")]
    states = {state.server: state for state in sources[1].show_servers_state()}
    assert (states["a"].weight, states["a"].operational) == (2, "running")
    # `show stat` shows addresses only at a socket of a higher level.
    assert (states["a"].address, states["a"].port) == ("127.0.0.1", shown.port)
    addresses = [{row.name: row.addr for row in source.show_stat()}["a"] for source in sources[:2]]
    assert addresses == [f"127.0.0.1:{shown.port}", None]
    assert states["b"].admin & 0b101
    assert sources[0].show_info()["Name"] == "HAProxy"
    for method in (sources[2].show_info, sources[2].show_sess, sources[2].show_servers_state):
        with pytest.raises(NotVisible, match="a stats page does not show .* a stats socket does"):
            method()


@pytest.mark.lab
def test_refusals_are_named(haproxy: tuple[Shown, int, int]) -> None:
    """Wrong passwords, other pages, low levels and unknown commands each have their own reason."""
    shown, tcp, _ = haproxy
    with pytest.raises(EvidenceUnavailable, match="requires a stats_user"):
        StatsPage(shown.page).show_stat()
    with pytest.raises(
        EvidenceUnavailable, match="refuses the given stats_user and stats_password"
    ) as caught:
        StatsPage(shown.page, "watcher", "a-wrong-passw0rd").show_stat()
    assert "passw0rd" not in str(caught.value)
    with pytest.raises(EvidenceUnavailable, match="answered 503: not a stats page"):
        StatsPage(f"http://127.0.0.1:{shown.port}/other", "watcher", "s3cr3t-of-the-page").show_stat()
    with pytest.raises(EvidenceUnavailable, match="level is too low"):
        StatsSocket(f"tcp://127.0.0.1:{tcp}").ask("disable server t/a")
    with pytest.raises(EvidenceUnavailable, match="the command 'nonsense' is unknown"):
        StatsSocket(f"tcp://127.0.0.1:{tcp}").ask("nonsense")
    with pytest.raises(EvidenceUnavailable, match="is not HAProxy statistics"):
        StatsSocket(f"tcp://127.0.0.1:{shown.port}").show_stat()
