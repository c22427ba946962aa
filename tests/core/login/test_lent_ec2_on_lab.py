"""EC2 credentials that the suite makes in a real Keystone, for a deployment file that has none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.waiting import until
from tests.conftest import lab_command
from tests.load.test_run_on_lab import rows_of

pytestmark = pytest.mark.lab


@contextmanager
def without_ec2(lab: Deployment) -> Iterator[Path]:
    """The lab's deployment file without its EC2 credentials, beside the secrets that it refers to."""
    lines = lab.path.read_text().splitlines(keepends=True)
    file = lab.path.with_name("without-ec2.toml")
    file.write_text("".join(line for line in lines if not line.startswith("ec2_")))
    file.chmod(0o600)
    try:
        yield file
    finally:
        file.unlink()


def access_keys(lab: Deployment) -> set[str]:
    """The access keys of the lab's user, as the `openstack` client lists them."""
    words = ("openstack", "ec2", "credentials", "list", "-f", "json")
    done = lab_command("exec", "--name", lab.path.parent.name, *words)
    assert done.returncode == 0, done.stderr
    return {each["Access"] for each in json.loads(done.stdout)}


def load(file: Path, runs: Path, seconds: int) -> subprocess.Popen[str]:
    """A load that speaks CFN."""
    words = ["run", "cfn-heavy", "--users", "4", "--duration", f"{seconds}s", "--runs", str(runs)]
    command = [sys.executable, "-m", "calorimeter", *words, "--deployment", str(file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_load_over_cfn_makes_its_credentials_and_removes_them(lab: Deployment, tmp_path: Path) -> None:
    """Heat takes them: no request is refused. No file of the run has the secret or names the key."""
    before = access_keys(lab)
    with without_ec2(lab) as file:
        output, errors = load(file, tmp_path, 6).communicate(timeout=120)
    run = RunDir.open(Path(output.splitlines()[-1].removeprefix("run: ")))
    answered = [row for row in rows_of(run.path, "samples") if row["api"] == "cfn"]
    assert len(answered) > 10, errors
    assert not [row for row in answered if row["error"]]
    assert access_keys(lab) == before


def test_a_killed_load_leaves_no_credentials(lab: Deployment, tmp_path: Path) -> None:
    """kill -9 while they are in use: their guardian removes them."""
    before = access_keys(lab)
    with without_ec2(lab) as file:
        process = load(file, tmp_path, 60)
        try:
            until(lambda: access_keys(lab) != before, 60)
        finally:
            process.kill()
            process.communicate()
        until(lambda: access_keys(lab) == before, 60)
