"""Gates H on a small deployment whose parts only `[control]` can break: a real HAProxy and toy APIs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calorimeter.core.verdict import Outcome
from calorimeter.core.verdict import read as read_verdicts
from tests.core.control.systemd_host import CAN, SBIN, WHY, systemd_host

HAPROXY = shutil.which("haproxy", path=SBIN)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not CAN or HAPROXY is None, reason=f"{WHY}; haproxy")]

CONFIG = """\
global
  log 127.0.0.1:5140 local0
  stats socket ipv4@127.0.0.1:9999 level admin
defaults
  mode tcp
  log global
  option tcplog
  option redispatch 1
  retries 3
  balance source
  hash-type consistent
  timeout connect 1s
  timeout client 10s
  timeout server 10s
  timeout check 1s
listen rest_api_proxy
  bind 127.0.0.1:8004
  option httpchk GET /
  server ctl01 127.0.0.2:8004 check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions
  server ctl02 127.0.0.3:8004 check inter 1s fall 2 rise 2 on-marked-down shutdown-sessions
"""

MORE = """
[clients]
sources = ["127.16.0.0/16"]
"""

API = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Versions(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(300)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *args):
        pass

ThreadingHTTPServer.request_queue_size = 256  # a frozen one still accepts, as Heat's does
ThreadingHTTPServer((sys.argv[1], 8004), Versions).serve_forever()
"""

GATES = {"H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8"}


def test_gates_break_and_heal_over_ssh_what_describe_found(tmp_path: Path) -> None:
    """From HAProxy's file to PASS of eight gates; no command is written by hand."""
    here = tmp_path / "host"
    here.mkdir()
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    (tmp_path / "api.py").write_text(API)
    api = f"ExecStart={sys.executable} {tmp_path}/api.py {{}}\nRestart=always\nRestartSec=0\n"
    units = {
        "heat-ctl01": api.format("127.0.0.2"),
        "heat-ctl02": api.format("127.0.0.3"),
        "haproxy": f"ExecStart={HAPROXY} -db -f {config}\n",
    }
    file = tmp_path / "deployment.toml"
    with systemd_host(here, units) as host:

        def calorimeter(*words: str) -> subprocess.CompletedProcess[str]:
            command = host.within(shlex.join((sys.executable, "-m", "calorimeter", *words)))
            return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

        done = calorimeter(
            "describe", "--proxy", str(config), "-o", str(file), "--stats", "tcp://127.0.0.1:9999",
            "--log", "udp://127.0.0.1:5140", "--rest-section", "rest_api_proxy", "--consent", "invasive",
            "--max-detection", "5s", "--max-recovery", "5s", "--control", "systemd",
            "--ssh", "root@127.0.0.1",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        text = file.read_text().replace(
            "[control]\n", f'[control]\nssh_options = ["-F", "{here}/ssh_config"]\n'
        )
        services = '\n[control.services]\nrest = "heat-{name}"\n'
        file.write_text(text + MORE + services)
        assert "[[parts]]" not in file.read_text()
        done = calorimeter(
            "verify", str(file), "--gates", ",".join(sorted(GATES)), "--yes-break-it", "--runs",
            str(tmp_path / "runs"),
        )  # fmt: skip
    (run,) = (tmp_path / "runs").iterdir()
    found = {v.gate: v.judgement for v in read_verdicts(run / "verdicts.json").verdicts}
    assert set(found) == GATES, done.stderr
    bad = {gate: j.why for gate, j in found.items() if j.outcome is not Outcome.PASS}
    assert not bad, bad
