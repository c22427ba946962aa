"""The connection between a master and its workers: only with the token, and only the protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from calorimeter.core import waiting
from calorimeter.core.recorded.rundir import RunDir
from tests.load.programs import result_of
from tests.load.stub_cloud import stub_cloud
from tests.places import CLONE

LOCUSTS_PORT = 5557
ONE, TWO = (f"host-{number}_{number:032x}" for number in range(2))


@pytest.fixture(scope="module")
def sockets() -> Any:
    """What a master and its workers received."""
    return result_of("worker_sockets")


@pytest.mark.slow
def test_peers_without_the_token_send_nothing(sockets: Any) -> None:
    """Locust's own socket, one with another token, one that knows half of it: refused, in one line."""
    assert sockets["strangers"] == [True, True, True]
    refused = "127.0.0.1:0: a peer without this run's token was refused (reported once)"
    assert [line for line in sockets["lines"] if "token" in line] == [refused]


@pytest.mark.slow
def test_a_worker_sends_only_its_own_messages_of_the_protocol(sockets: Any) -> None:
    """Of spoofed, unknown, malformed, deep and huge messages none reaches Locust; honest ones do."""
    assert sorted((name, kind) for name, kind, _ in sockets["of_workers"]) == [
        (ONE, "client_ready"),
        (ONE, "exception"),
        (TWO, "client_ready"),
        (TWO, "spawning_complete"),
    ]
    (text,) = (data for _, kind, data in sockets["of_workers"] if kind == "exception")
    assert text == {"msg": "a\\u001b[2Jb", "traceback": "c\nd"}
    ignored = [line for line in sockets["lines"] if "no worker sends" in line]
    assert ignored == [f"{ONE}: messages that no worker sends are ignored (reported once)"]


@pytest.mark.slow
def test_a_master_changes_no_option_of_its_workers(sockets: Any) -> None:
    """Of a master's messages a worker takes those of the protocol, and never its options."""
    kind, data, name = sockets["of_master"]
    assert (kind, name) == ("spawn", TWO)
    assert data["parsed_options"] == {}
    assert "the master: messages that no master sends are ignored (reported once)" in sockets["lines"]


@contextmanager
def locust(deployment: Path, runs: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Locust as a user starts it, with its output in one text; killed when the context ends."""
    scenario = deployment.with_name("stub-list.toml")
    command = [sys.executable, "-m", "locust", "-f", str(CLONE / "loadtests/locustfile.py"), *words]
    command += ["--deployment", str(deployment), "--scenario", str(scenario), "--skip-log-setup"]
    with subprocess.Popen(
        [*command, "--runs", str(deployment.with_name(runs))],
        env={**os.environ, "STUB_PASSWORD": "x", "PYTHONPATH": str(CLONE)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.slow
def test_a_worker_elsewhere_records_with_the_masters_token(tmp_path: Path) -> None:
    """A master makes a token; a worker with it sends its files, one with another ends in one line."""
    port, token = "15597", tmp_path / "token"
    of_master = ("--master-host", "127.0.0.1", "--master-port", port)
    other = tmp_path / "other"
    other.write_text("x" * 40)
    other.chmod(0o600)
    bind = ("--headless", "--master-bind-port", port, "--token-file", str(token))
    with stub_cloud(tmp_path) as file, locust(file, "runs", "--master", *bind) as master:
        with locust(file, "there", "--worker", *of_master, "--token-file", str(other)) as stranger:
            line, _ = stranger.communicate(timeout=60)
        assert (stranger.returncode, line) == (
            2,
            f"calorimeter: --master-host 127.0.0.1:{port}: refuses this worker's token; "
            "give --token-file FILE, a copy of the master's\n",
        )
        assert token.stat().st_mode & 0o777 == 0o600
        with locust(file, "there", "--worker", *of_master, "--token-file", str(token)) as worker:
            output, _ = master.communicate(timeout=90)
            of_worker, _ = worker.communicate(timeout=30)
        assert (worker.returncode, master.returncode) == (0, 0), output + of_worker
    (run,) = (tmp_path / "runs").iterdir()
    (worker_entry,) = RunDir.open(run).about["workers"]
    (samples,) = RunDir(run).parquet("samples")
    assert pq.read_metadata(samples).num_rows > 10
    assert worker_entry["sent_bytes"] > samples.stat().st_size
    assert token.read_text().strip() not in json.dumps(RunDir.open(run).about)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--master", "--headless"),
            "--master: no worker can have its token; give --token-file FILE",
        ),
        (
            ("--master", "--headless", "--master-bind-host", "0.0.0.0", "--master-bind-port", "15598"),
            "--master-bind-host 0.0.0.0: other machines can connect, but no worker there has the token of "
            "this run; give --token-file FILE here, and a copy of the file to each worker",
        ),
        (("--worker",), "--worker: has no token; give --token-file FILE, a copy of the master's"),
    ],
)
def test_without_a_token_no_master_and_no_worker_begins(
    tmp_path: Path, words: tuple[str, ...], line: str
) -> None:
    """One line with the remedy, exit status 2."""
    with stub_cloud(tmp_path) as file, locust(file, "runs", *words) as process:
        output, _ = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, f"calorimeter: {line}\n")


@pytest.mark.slow
def test_a_port_that_another_program_has_is_one_line(tmp_path: Path) -> None:
    """A second master on this machine names the option for another port, exit status 2."""
    with socket.create_server(("127.0.0.1", 0)) as other, stub_cloud(tmp_path) as file:
        port = str(other.getsockname()[1])
        words = ("--master", "--headless", "--master-bind-host", "127.0.0.1", "--master-bind-port", port)
        with locust(file, "runs", *words) as process:
            output, _ = process.communicate(timeout=60)
    assert output == (
        f"calorimeter: --master-bind-host 127.0.0.1: port {port} cannot be opened there "
        "(Address already in use); another address, or --master-bind-port\n"
    )
    assert process.returncode == 2


@pytest.mark.slow
def test_processes_of_one_machine_share_a_private_port(tmp_path: Path) -> None:
    """`run --processes 2`: the master listens on loopback only, and both workers record."""
    env = {**os.environ, "STUB_PASSWORD": "x"}
    # Another run of this machine may have Locust's own port.
    with socket.create_server(("127.0.0.1", LOCUSTS_PORT)), stub_cloud(tmp_path) as file:
        command = [sys.executable, "-m", "calorimeter", "run", str(file.with_name("stub-list.toml"))]
        command += ["--deployment", str(file), "--runs", str(tmp_path / "runs"), "--processes", "2"]
        with subprocess.Popen(
            command, env=env, cwd=CLONE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            listening = waiting.until(lambda: _listeners(process.pid), 60)
            output, errors = process.communicate(timeout=90)
    assert process.returncode == 0, errors
    assert listening == {"127.0.0.1"}
    run = Path(output.splitlines()[-1].removeprefix("run: "))
    assert [each.name for each in RunDir(run).parquet("samples")] == [
        "worker-00.parquet",
        "worker-01.parquet",
    ]
    assert [each["lost"] for each in RunDir.open(run).about["workers"]] == [False, False]
    assert "refused" not in errors
    assert not (run / ".reserve").exists()


def _listeners(pid: int) -> set[str]:
    """The addresses on which a process or one of its children listens."""
    found: set[str] = set()
    for each in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found |= {
                one.laddr.ip for one in each.net_connections("inet") if one.status == psutil.CONN_LISTEN
            }
    return found
