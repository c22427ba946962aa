"""Gates on the real lab: PASS if it is healthy, FAIL under sabotage, INCONCLUSIVE without evidence."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.core import paths, verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Outcome, Verdicts
from calorimeter.gates.evidence.broker_api import BrokerApi
from tests.places import CLONE

pytestmark = pytest.mark.lab

WEAK = ["--sources", "60", "--visits", "3", "--calls", "30"]


def calorimeter(*args: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "calorimeter", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def verified(file: Path, runs: Path, gates: str = "S1,H1,E2") -> tuple[int, Verdicts, str]:
    """Run gates on a deployment: exit status, verdicts, and what was printed."""
    done = calorimeter("verify", str(file), "--gates", gates, "--runs", str(runs), *WEAK)
    (kept,) = runs.glob("*/verdicts.json")
    return done.returncode, verdict.read(kept), done.stdout + done.stderr


def outcomes(verdicts: Verdicts) -> dict[str, str]:
    """Gate → outcome."""
    return {v.gate: v.judgement.outcome.value for v in verdicts.verdicts}


@pytest.fixture(scope="module")
def guides_lab() -> Iterator[Deployment]:
    """A small lab with the guide's own proxy file, but `balance roundrobin`."""
    name = "guide-test"
    shape = ["--rest", "2", "--cfn", "1", "--engines", "2", "--proxy", "guide", "--balance", "roundrobin"]
    up = calorimeter("lab", "up", "--name", name, *shape)
    assert up.returncode == 0, up.stderr
    yield deployments.read(paths.lab(name) / "deployment.toml")
    assert calorimeter("lab", "down", "--name", name).returncode == 0


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The one line with which a command refuses its input; only the progress may come before it."""
    *before, last = done.stderr.splitlines()
    assert last.startswith("calorimeter: ")
    assert before in ([], ["reading the deployment file and connecting"])
    return last


def test_healthy_lab_passes_and_no_secret_is_kept(lab: Deployment, tmp_path: Path) -> None:
    """On a healthy lab all gates pass, and none of the lab's secrets is in any file of the run."""
    status, verdicts, output = verified(lab.path, tmp_path)
    assert outcomes(verdicts) == {"E2": "PASS", "H1": "PASS", "S1": "PASS"}
    assert status == 0
    secrets = tomllib.loads((lab.path.parent / "secrets.toml").read_text(encoding="utf-8"))
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    hidden = {key for key, value in secrets.items() if key != "ec2_access" and len(str(value)) > 7}
    assert hidden
    assert [
        key for key in hidden if str(secrets[key]).encode() in kept or str(secrets[key]) in output
    ] == []


def test_plain_pytest_writes_the_same_verdicts_and_junit(lab: Deployment, tmp_path: Path) -> None:
    """`pytest verify --deployment FILE` gives the same verdict as the command, and JUnit XML."""
    options = ["--deployment", str(lab.path), "--gates", "H1", "--runs", str(tmp_path / "runs")]
    junit = tmp_path / "junit.xml"
    command = [sys.executable, "-m", "pytest", "verify", *options, "--junitxml", str(junit)]
    done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    (kept,) = tmp_path.glob("runs/*/verdicts.json")
    assert outcomes(verdict.read(kept)) == {"H1": "PASS"}
    assert 'tests="1"' in junit.read_text(encoding="utf-8")


def test_roundrobin_and_missing_checks_are_red(guides_lab: Deployment, tmp_path: Path) -> None:
    """Where `source` is wanted, `balance roundrobin` turns S1 red; unchecked servers turn H1 red; E2 stays
    green."""
    wanted = copy_of(guides_lab, tmp_path, **{'balance = "roundrobin"': 'balance = "source"'})
    status, verdicts, _ = verified(wanted, tmp_path / "runs")
    assert outcomes(verdicts) == {"E2": "PASS", "H1": "FAIL", "S1": "FAIL"}
    assert status == 1
    (first, *_) = verdicts.of("S1").judgement.counter_examples
    assert first.endswith(("rest-1 2 times, rest-2 1 times", "rest-1 1 times, rest-2 2 times"))
    assert "the server lines need the word `check`" in verdicts.of("H1").judgement.why


def copy_of(lab: Deployment, folder: Path, **replaced: str) -> Path:
    """A copy of the lab's deployment file beside a copy of its secrets, some text replaced."""
    text = lab.path.read_text(encoding="utf-8")
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    secrets = folder / "secrets.toml"
    secrets.touch(mode=0o600)
    secrets.write_bytes((lab.path.parent / "secrets.toml").read_bytes())
    file = folder / "deployment.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_broker_user_who_may_not_trace_is_inconclusive(lab: Deployment, tmp_path: Path) -> None:
    """A user without the right to trace gives INCONCLUSIVE, which names the right, and status 1."""
    assert lab.broker is not None
    with BrokerApi.of(lab) as api:
        api._ask("PUT", "/users/looker", json={"password": "looker-password", "tags": "monitoring"})
        allowed = {"configure": ".*", "write": ".*", "read": ".*"}
        api._ask("PUT", f"/permissions/{api._vhost}/looker", json=allowed)
    file = copy_of(lab, tmp_path)
    text = file.read_text(encoding="utf-8")
    before, broker, after = text.partition("[broker]")
    broker += after.replace(f'user = "{lab.broker.user}"', 'user = "looker"', 1).replace(
        'key = "amqp"', 'key = "looker"', 1
    )
    file.write_text(before + broker, encoding="utf-8")
    with (tmp_path / "secrets.toml").open("a") as secrets:
        secrets.write('\nlooker = "looker-password"\n')
    status, verdicts, _ = verified(file, tmp_path / "runs", "E2")
    judgement = verdicts.of("E2").judgement
    assert (status, judgement.outcome) == (1, Outcome.INCONCLUSIVE)
    assert "'looker' lacks the tag administrator" in judgement.why


def test_wrong_password_is_unusable_input(lab: Deployment, tmp_path: Path) -> None:
    """A wrong Keystone password is one clear line and status 2, before any gate is run."""
    file = copy_of(lab, tmp_path)
    text = (tmp_path / "secrets.toml").read_text(encoding="utf-8")
    secret = tomllib.loads(text)["load"]
    (tmp_path / "secrets.toml").write_text(text.replace(secret, "wrong"), encoding="utf-8")
    done = calorimeter("verify", str(file), "--gates", "E2", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert "Keystone refuses user 'load'" in refusal(done)


def test_log_port_that_is_taken_is_unusable_input(lab: Deployment, tmp_path: Path) -> None:
    """A log port on which somebody else listens is one clear line and status 2."""
    from calorimeter.gates.evidence.log_listener import open_logs

    (log,) = open_logs(lab.proxy[0])
    with log:
        done = calorimeter("verify", str(lab.path), "--gates", "S1", "--runs", str(tmp_path / "runs"))
    assert done.returncode == 2
    assert log.where.removeprefix("udp://") in refusal(done)


def test_dead_broker_is_inconclusive(guides_lab: Deployment, tmp_path: Path) -> None:
    """If the broker is dead, E2 is INCONCLUSIVE and names the part that cannot be reached; status 1."""
    killed = calorimeter("lab", "part", "--name", guides_lab.name, "rabbitmq", "kill")
    assert killed.returncode == 0, killed.stderr
    status, verdicts, _ = verified(guides_lab.path, tmp_path, "H1,E2")
    assert status == 1
    assert outcomes(verdicts) == {"E2": "INCONCLUSIVE", "H1": "FAIL"}
    assert guides_lab.broker is not None and guides_lab.broker.management
    gone = f"broker management {guides_lab.broker.management[0]}"
    assert verdicts.of("E2").judgement.why == f"{gone}: cannot be reached"
    examined = calorimeter("doctor", str(guides_lab.path))
    assert examined.returncode == 2
    assert "broker management" in examined.stdout and "cannot be reached" in " ".join(
        examined.stdout.split()
    )
