"""`calorimeter verify` and `doctor` with unusable input."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import CLONE

pytestmark = pytest.mark.slow

DEPLOYMENT = """
name = "cloud"
[rest]
url = "http://127.0.0.1:{port}/v1"
proxy_section = "rest_api_proxy"
backends = [{{ name = "b", address = "127.0.0.1:1" }}]
"""


def calorimeter(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "calorimeter", *args]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["verify", "nowhere.toml"], "nowhere.toml: cannot be read (No such file or directory)"),
        (["verify", "cloud.toml", "--gates", "S1,Q7"], "--gates: unknown gate 'Q7'"),
        (["verify", "cloud.toml", "--gates", "S1"], "rest.url: http://127.0.0.1:"),
        (["verify", "cloud.toml", "--run", "."], "run.json"),
        (["verify", "cloud.toml", "--sources", "none"], "Invalid value for '--sources'"),
        (["doctor", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["verfy"], "unknown command 'verfy'; did you mean 'verify'?"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(
    args: list[str], message: str, tmp_path: Path, closed_port: int
) -> None:
    """A missing file, an unknown gate, an unreachable proxy, a wrong run: one clear line, status 2."""
    (tmp_path / "cloud.toml").write_text(DEPLOYMENT.format(port=closed_port))
    done = calorimeter(*args, cwd=tmp_path)
    output = done.stdout + done.stderr
    assert message in output
    assert done.returncode == 2
    assert "Traceback" not in output


def test_plain_pytest_gives_the_same_status(tmp_path: Path, closed_port: int) -> None:
    """`pytest verify --deployment FILE` exits with 2 as well if the proxy cannot be reached."""
    file = tmp_path / "cloud.toml"
    file.write_text(DEPLOYMENT.format(port=closed_port))
    command = [sys.executable, "-m", "pytest", "verify", "--deployment", str(file), "--gates", "S1"]
    done = subprocess.run(
        [*command, "--runs", str(tmp_path)],
        cwd=CLONE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "cannot be reached" in done.stdout + done.stderr


def test_doctor_exits_2_if_the_proxy_cannot_be_reached(tmp_path: Path, closed_port: int) -> None:
    """The doctor shows which part cannot be reached and which the file does not name."""
    (tmp_path / "cloud.toml").write_text(DEPLOYMENT.format(port=closed_port))
    done = calorimeter("doctor", "cloud.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "unreachable" in done.stdout
    assert "not described" in done.stdout


def test_doctor_shows_names_in_brackets(tmp_path: Path, closed_port: int) -> None:
    """Text in brackets is no markup: it stays in the line."""
    identity = '[identity]\ncloud = "prod"\nclouds_file = "[mine].yaml"\n'
    (tmp_path / "cloud.toml").write_text(DEPLOYMENT.format(port=closed_port) + identity)
    done = calorimeter("doctor", "cloud.toml", cwd=tmp_path)
    assert "[mine].yaml does not exist; valid: a clouds.yaml" in " ".join(done.stdout.split())


def test_doctor_knows_what_may_be_waived(tmp_path: Path, closed_port: int) -> None:
    """The doctor refuses a waiver of a gate that does not exist, as `verify` does."""
    (tmp_path / "cloud.toml").write_text(DEPLOYMENT.format(port=closed_port) + '[waive]\nE99 = "why"\n')
    done = calorimeter("doctor", "cloud.toml", cwd=tmp_path)
    assert "cloud.toml: waive: unknown gate 'E99'" in done.stderr
    assert done.returncode == 2


def test_unwritable_junit_file_is_one_line(tmp_path: Path) -> None:
    """The verdicts are printed and kept; the status is that of unusable input, without a traceback."""
    (tmp_path / "cloud.toml").write_text(DEPLOYMENT.format(port=1))
    done = calorimeter("verify", "cloud.toml", "--gates", "A1", "--junitxml", "/proc/x.xml", cwd=tmp_path)
    assert done.returncode == 2
    assert "INCONCLUSIVE A1" in done.stdout
    assert "calorimeter: /proc/x.xml: cannot be written (No such file or directory)" in done.stderr
    assert "Traceback" not in done.stderr
