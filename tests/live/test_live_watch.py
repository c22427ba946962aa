"""A run folder while it is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calorimeter.core.deployment import read
from calorimeter.live.live_figures import MOMENTS, LiveFigures
from calorimeter.live.live_watch import LiveWatch
from tests.live.shown_run import AT_NS, S, figures, made
from tests.live.test_live_generator import window
from tests.report.run_builder import START_NS, Builder


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No journal of this machine."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_all_figures_of_a_moment(tmp_path: Path) -> None:
    """From the files of the run, its verdicts and its deployment."""
    found = figures(tmp_path / "run")
    assert (found.deployment, found.run, found.window_s, found.over) == ("checked", "run", 60.0, False)
    assert [each.name for each in found.backends] == ["rest-1", "rest-2", "cfn-1", "cfn-2"]
    assert (len(found.engines), len(found.queues), found.stacks) == (6, 2, 5)
    assert [each.name for each in found.sources] == ["proxy proxy", "broker", "load generator"]
    assert (found.gates_of, len(found.gates)) == ("run", 5)
    assert found.time_line.t_ns == (AT_NS,)
    assert found.time_line.requests_per_s == (30.0,)
    assert found.time_line.response_p99_s == (0.2,)
    assert found.time_line.stacks == (5,)


def test_figures_are_the_same_after_a_file(tmp_path: Path) -> None:
    """What Locust's process reads is what the watch wrote."""
    found = figures(tmp_path / "run")
    assert LiveFigures.model_validate_json(found.model_dump_json()) == found


def test_the_time_line_grows_by_the_second_and_is_bounded(tmp_path: Path) -> None:
    """Two figures within a second are one moment; five minutes are kept."""
    run = made(tmp_path / "run")
    watch = LiveWatch(run, read(run / "deployment.toml"), START_NS)
    with (run / "watch" / "generator.jsonl").open("a") as file:
        for step in range(MOMENTS + 20):
            file.write(json.dumps(window(91 + step, stacks=step)) + "\n")
            file.flush()
            now_ns = START_NS + (91 + step) * S + 1
            watch.figures(now_ns)
            line = watch.figures(now_ns + S // 10).time_line
    assert len(line.t_ns) == MOMENTS
    assert line.stacks[-3:] == (MOMENTS + 17, MOMENTS + 18, MOMENTS + 19)


def test_without_a_load_nothing_is_known_of_stacks(tmp_path: Path) -> None:
    """None, and not 0. Without any poll there are no sources either."""
    run = Builder(tmp_path / "run").about().path
    found = LiveWatch(run, read(run / "deployment.toml"), START_NS).figures(START_NS + S)
    assert (found.stacks, found.window_s, found.backends, found.sources) == (None, 0.0, (), ())
    assert found.time_line.stacks == (None,)


@pytest.mark.parametrize("name", ["proxy", "broker", "generator"])
def test_damaged_files_leave_the_other_figures(tmp_path: Path, name: str) -> None:
    """A folder in the place of a file is said; other files go on."""
    run = made(tmp_path / "run")
    file = run / "watch" / f"{name}.jsonl"
    file.unlink()
    file.mkdir()
    found = LiveWatch(run, read(run / "deployment.toml"), START_NS).figures(AT_NS)
    assert [each.problem for each in found.sources if each.name == f"{name}.jsonl"] == [
        f"{file}: is a folder; valid: the path of a regular file, or /dev/stdin"
    ]
    assert bool(found.backends) is (name != "proxy")
    assert bool(found.engines) is (name != "broker")
    assert bool(found.generator) is (name != "generator")


def test_no_secret_and_no_command_is_shown(tmp_path: Path) -> None:
    """The commands that heal, and what the deployment file says of identities, are no figures."""
    fields = set(json.loads(figures(tmp_path / "run").model_dump_json())["faults"][0])
    assert fields == {"part", "fault", "begun_ns", "ended_ns"}
