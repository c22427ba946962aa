"""Steps beside a load: in order, recorded one by one, ended by a failure, continued where they ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.deployment import Deployment, read
from calorimeter.core.recorded import upgrade_file
from calorimeter.core.recorded.rundir import UPGRADED, RunDir
from calorimeter.core.recorded.upgrade_record import PlannedStep, UpgradeRecord
from calorimeter.load.run.followed_load import BegunLoad
from calorimeter.studies.upgrade import upgrade_under_load
from calorimeter.studies.upgrade.upgrade_plan import ReleaseChange
from calorimeter.studies.upgrade.upgrade_under_load import UpgradeUnderLoad
from tests.report.run_builder import Builder

FILE = """
name = "cloud"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "r"
backends = [{ name = "rest-1", address = "127.0.0.1:2" }]
"""


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A deployment without a broker; the load ends as soon as the steps are done."""
    monkeypatch.setattr(upgrade_under_load, "TAIL_S", 0.0)
    (tmp_path / "cloud.toml").write_text(FILE)
    return read(tmp_path / "cloud.toml")


def record(*commands: str) -> UpgradeRecord:
    """An upgrade that consists of these commands."""
    plan = tuple(
        PlannedStep(number=n, title=f"step {n}", action="run", command=command, within_s=20)
        for n, command in enumerate(commands, 1)
    )
    return UpgradeRecord(
        procedure="own", from_release="24", to_release="24", old_vhost="/", new_vhost="/", plan=plan
    )


def upgraded(cloud: Deployment, path: Path, asked: UpgradeRecord) -> tuple[UpgradeRecord, list[str], int]:
    """The record in the run folder once the load has ended, what was said, how often the load was ended."""
    said: list[str] = []
    ends: list[int] = []
    Builder(path).about(stopped="interrupted")
    beside = UpgradeUnderLoad(cloud, ReleaseChange("24", "24", "/", "/"), asked, 0.0, said.append)
    beside.begin(BegunLoad(path, lambda: ends.append(1)))
    assert beside._thread is not None
    beside._thread.join(30)
    beside.end()
    assert beside.finish() is not None
    found = upgrade_file.read(RunDir(path))
    assert found is not None
    return found, said, len(ends)


def test_steps_are_done_in_order_and_the_load_ends_after_them(cloud: Deployment, tmp_path: Path) -> None:
    """Each command gets its variables; the run says that the upgrade ended its load."""
    log = tmp_path / "log"
    asked = record(f"echo one $TO >> {log}", f"echo two >> {log}")
    found, said, ends = upgraded(cloud, tmp_path / "run", asked)
    assert log.read_text() == "one\ntwo\n"
    assert [(step.end, step.planned.number) for step in found.steps] == [("done", 1), ("done", 2)]
    assert found.whole and ends == 1
    assert RunDir(tmp_path / "run").about["stopped"] == UPGRADED
    assert found.untraced == ("the deployment file has no [broker]: nothing was traced",)
    assert said[0] == "step 1, run: step 1"


def test_a_step_that_fails_ends_the_upgrade_and_is_done_again(cloud: Deployment, tmp_path: Path) -> None:
    """Nothing after it is begun; what continues it begins with it, and does no earlier step again."""
    log, flag = tmp_path / "log", tmp_path / "flag"
    commands = (
        f"echo one >> {log}",
        f"test -e {flag} || {{ echo not yet; exit 3; }}",
        f"echo three >> {log}",
    )
    found, _, ends = upgraded(cloud, tmp_path / "run", record(*commands))
    assert [step.end for step in found.steps] == ["done", "failed"]
    assert found.steps[1].why == "ended with status 3: not yet"
    assert (found.whole, ends) == (False, 1)
    assert RunDir(tmp_path / "run").about["stopped"] == "interrupted"
    flag.touch()
    again, _, _ = upgraded(cloud, tmp_path / "again", found)
    assert again.whole
    assert log.read_text() == "one\nthree\n"
    assert [step.planned.number for step in again.steps] == [1, 2, 3]


def test_a_step_that_hangs_is_ended_by_its_limit(cloud: Deployment, tmp_path: Path) -> None:
    """The reason names the limit."""
    asked = record("sleep 60")
    short = asked.plan[0].model_copy(update={"within_s": 0.2})
    found, _, _ = upgraded(cloud, tmp_path / "run", asked.model_copy(update={"plan": (short,)}))
    assert (found.steps[0].end, found.steps[0].why) == ("failed", "did not end within 0.2 s")
