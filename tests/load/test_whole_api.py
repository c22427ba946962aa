"""Operations and tenants on the real lab, the way a user starts them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gevent
import pyarrow.parquet as pq
import pytest

from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.run.ledger_balance import balance_of_run
from calorimeter.load.tenants.keystone_accounts import TenantAccounts
from tests.places import CLONE

SCENARIO = """
name = "actions"
about = "Every action that a stack can go through, and signals through both APIs."
users = 6
spawn_per_s = 6
duration_s = 16
poll_s = 0.3
complete_within_s = 60
[tenants]
count = 2
shares = [3, 1]
stacks_max = 3
[rest]
template = ["tiny.yaml", "waits-urls.json"]
stacks_per_user = 1
[rest.mix]
create = 9
update = 2
suspend = 2
resume = 4
check = 1
snapshot = 1
snapshots = 1
show-by-name = 1
SignalWaitCondition = 2
config-create = 1
deployment-create = 1
"""


def calorimeter(*words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def rows_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """All rows of a run."""
    return [row for file in RunDir(run).parquet(kind) for row in pq.read_table(file).to_pylist()]


def tenants_of(lab: Deployment, run: Path) -> list[str]:
    """The projects of a run that are there still."""
    return TenantAccounts(Token(lab)).names(run.name)


@pytest.mark.lab
def test_actions_of_several_tenants_end_and_leave_nothing(lab: Deployment, tmp_path: Path) -> None:
    """Acceptance is a sample and its end a row; tenants are made, kept to their quota, and removed."""
    (tmp_path / "actions.toml").write_text(SCENARIO)
    done = calorimeter(
        *("run", str(tmp_path / "actions.toml"), "--deployment", str(lab.path)),
        *("--runs", str(tmp_path / "runs")),
    )
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.splitlines()[-1].removeprefix("run: "))
    samples, actions = rows_of(run, "samples"), rows_of(run, "actions")
    assert [row for row in samples if row["error"]] == []
    assert {"create", "addresses", "wait-handle", "wait", "SignalWaitCondition"} <= {
        row["operation"] for row in samples
    }
    assert {row["api"] for row in samples if row["operation"] == "SignalWaitCondition"} == {"cfn"}
    accepted = {row["request_id"] for row in samples}
    assert actions
    for row in actions:
        assert row["request_id"] in accepted
        assert not row["final_ns"] or row["final_ns"] > row["accepted_ns"]
        assert row["final_state"] in ("", f"{row['operation'].upper()}_COMPLETE")
    found = balance_of_run(RunDir.open(run))
    assert found.findings == ()
    assert found.complete == found.gone == found.accepted > 0
    assert tenants_of(lab, run) == []


@pytest.mark.lab
def test_tenants_of_a_killed_run_are_removed_by_clean(lab: Deployment, tmp_path: Path) -> None:
    """After kill -9 the tenants, their stacks and configs are there; `calorimeter clean` removes them."""
    (tmp_path / "actions.toml").write_text(SCENARIO.replace("duration_s = 16", "duration_s = 60"))
    locustfile = CLONE / "loadtests/locustfile.py"
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--skip-log-setup"]
    command += ["--deployment", str(lab.path), "--scenario", str(tmp_path / "actions.toml")]
    command += ["--runs", str(tmp_path / "runs")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            runs = list((tmp_path / "runs").glob("*"))
            if runs and any(row["operation"] == "create" for row in rows_of(runs[0], "samples")):
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        process.send_signal(signal.SIGKILL)
    assert len(tenants_of(lab, runs[0])) == 2
    done = calorimeter("clean", str(runs[0]), "--deployment", str(lab.path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("2 tenants removed, 0 left\n")
    assert tenants_of(lab, runs[0]) == []


@pytest.mark.lab
def test_token_is_renewed_before_it_expires(lab: Deployment) -> None:
    """At four fifths of its life a token is replaced by another one, for the same project."""
    token = Token(lab)
    first, project = token.bytes, token.project_id
    token._lifetime_s = 1.5
    token.start_renewing()
    for _ in range(100):
        gevent.sleep(0.1)
        if token.bytes != first:
            break
    token.stop_renewing()
    assert token.bytes != first
    assert token.project_id == project
    assert token._lifetime_s > 600


@pytest.mark.lab
def test_bad_scenario_is_one_line_and_status_2(lab: Deployment, tmp_path: Path) -> None:
    """An unknown operation gives one line with the nearest name, status 2, and no run."""
    (tmp_path / "bad.toml").write_text(SCENARIO.replace("suspend = 2", "suspand = 2"))
    done = calorimeter(
        *("run", str(tmp_path / "bad.toml"), "--deployment", str(lab.path)),
        *("--runs", str(tmp_path / "runs")),
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    line = (
        "rest.mix: unknown operation 'suspand'; valid: see docs/reference/operations.md; "
        "did you mean 'suspend'?"
    )
    assert line in done.stderr
    assert not (tmp_path / "runs").exists()
