"""EC2 credentials that the suite makes: removed at the end, after kill -9, and after kill -9 of all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.deployment import Deployment
from calorimeter.core.login import lent_ec2
from calorimeter.core.waiting import until
from tests.core.login.test_hostile_keystone import GOOD
from tests.core.test_deployment import SMALLEST, written

SECRET = "ec2-s3cr3t"
CFN = """
[cfn]
url = "http://127.0.0.1:1/v1"
proxy_section = "c"
backends = [{ name = "c", address = "127.0.0.1:2" }]
"""


@dataclass
class FakeKeystone:
    """A Keystone that gives tokens and keeps EC2 credentials; `refuses` has a status for all of these."""

    made: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    refuses: int = 0
    port: int = 0

    @property
    def there(self) -> set[str]:
        """The access keys that exist."""
        return {*self.made} - {*self.removed}


@pytest.fixture
def keystone() -> Iterator[FakeKeystone]:
    """A Keystone that listens on loopback."""
    state = FakeKeystone()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, body: object = None, **headers: str) -> None:
            text = json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            for name, value in {"Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path.endswith("/auth/tokens"):
                self.answer(201, {"token": GOOD}, **{"X-Subject-Token": "t"})
            elif state.refuses:
                self.answer(state.refuses, {"error": {"message": "You are not authorized", "code": 403}})
            else:
                assert self.path == "/v3/users/u/credentials/OS-EC2" and sent == {"tenant_id": "p"}
                state.made.append(f"key-{len(state.made)}")
                self.answer(201, {"credential": {"access": state.made[-1], "secret": SECRET}})

        def do_DELETE(self) -> None:
            state.removed.append(self.path.rpartition("/")[2])
            self.answer(204)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield state
        server.shutdown()


@pytest.fixture
def described(tmp_path: Path, keystone: FakeKeystone, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment with CFN, whose identity has no EC2 credentials."""
    monkeypatch.setenv("WORD", "w")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    account = 'username = "u"\npassword = { env = "WORD" }\nproject = "p"\n'
    table = f'[identity]\nauth_url = "http://127.0.0.1:{keystone.port}"\n{account}'
    return deployments.read(written(tmp_path, SMALLEST + CFN + table))


def borrower(described: Deployment) -> tuple[subprocess.Popen[str], str, int]:
    """A command that has borrowed credentials: it, the access key, and its guardian's process id."""
    program = Path(__file__).parent / "programs/borrower.py"
    process = subprocess.Popen(
        [sys.executable, str(program), str(described.path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert process.stdout is not None
    access, guardian = process.stdout.readline().split()
    assert process.stdout.readline().split() == [access, SECRET]  # what a child of it has
    return process, access, int(guardian)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["its end", "kill -9"])
def test_credentials_are_removed_when_the_command_has_ended(
    how: str, described: Deployment, keystone: FakeKeystone
) -> None:
    """The processes that it starts have them, too; no file has the secret."""
    process, access, _ = borrower(described)
    assert keystone.there == {access}
    assert access in {path.name for path in lent_ec2.folder(described.path).iterdir()}
    texts = [path.read_text() for path in described.path.parent.rglob("*") if path.is_file()]
    assert not any(SECRET in text for text in texts)
    with process:
        if how == "kill -9":
            process.kill()
        else:
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(30) == 0
            assert keystone.there == set()
    until(lambda: not keystone.there, 30)
    until(lambda: not list(lent_ec2.folder(described.path).iterdir()), 30)


@pytest.mark.slow
def test_what_a_killed_guardian_left_is_removed_by_the_next_command(
    described: Deployment, keystone: FakeKeystone
) -> None:
    """And nothing of a command that lives."""
    process, access, guardian = borrower(described)
    living, other, _ = borrower(described)
    assert access != other
    with process, living:
        assert lent_ec2.remove_leftovers(described) == 0
        process.kill()
        os.kill(guardian, signal.SIGKILL)
        until(lambda: lent_ec2.remove_leftovers(described) == 1, 30)
        assert keystone.there == {other}
        living.kill()
    until(lambda: not keystone.there, 30)


@pytest.mark.slow
def test_a_refusal_is_one_line(described: Deployment, keystone: FakeKeystone) -> None:
    """As for an application credential that is restricted."""
    keystone.refuses = 403
    found, why = lent_ec2.lend(described)
    assert found.identity == described.identity
    assert why is not None and "Keystone refuses user 'u'" in why and "Forbidden" in why
    assert not (paths.state() / "ec2").exists()


def test_credentials_of_ones_own_are_used(described: Deployment, keystone: FakeKeystone) -> None:
    """None are made for them, nor for a deployment without CFN."""
    assert described.identity is not None
    own = described.identity.model_copy(update={"ec2_access": "mine"})
    for given in (
        described.model_copy(update={"identity": own}),
        described.model_copy(update={"cfn": None}),
    ):
        given._path = described.path
        assert lent_ec2.lend(given) == (given, None)
    assert keystone.made == []
