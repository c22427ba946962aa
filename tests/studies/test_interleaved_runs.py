"""Which runs a series makes, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.run import run
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import run_series
from calorimeter.studies import interleaved_runs, load_process

DEPLOYMENT = """
name = "{name}"
[rest]
url = "http://127.0.0.1:1/v1"
proxy_section = "rest"
backends = [{{ name = "b", address = "127.0.0.1:1" }}]
"""


ABOUT: dict[str, object] = {
    **{"schema_version": 1, "id": "", "started": "2026-01-01T00:00:00+00:00", "deployment": "d"},
    **{"commands": [], "environment": {}},
}


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two deployments."""
    found = []
    for name in ("guide", "checked"):
        path = tmp_path / f"{name}.toml"
        path.write_text(DEPLOYMENT.format(name=name))
        found.append(path)
    return found


def test_two_deployments_take_turns(files: list[Path]) -> None:
    """A B A B A B, each called by its deployment, under the same scenario."""
    chosen = interleaved_runs.sides("first-mix", files[0], str(files[1]))
    order = [(turn, side.name) for turn, side in interleaved_runs.in_turn(chosen, 3)]
    assert order == [(n, name) for n in (1, 2, 3) for name in ("guide", "checked")]
    assert {side.scenario for side in chosen} == {"first-mix"}


def test_the_other_side_may_be_a_scenario(files: list[Path], tmp_path: Path) -> None:
    """On the same deployment; sides of the same name are left and right."""
    text = (Path(interleaved_runs.catalogue.find("first-mix"))).read_text()
    (tmp_path / "other.toml").write_text(text.replace('"first-mix"', '"other"'))
    (tmp_path / "same.toml").write_text(text)
    names = [
        [side.name for side in interleaved_runs.sides("first-mix", files[0], str(tmp_path / other))]
        for other in ("other.toml", "same.toml")
    ]
    assert names == [["first-mix", "other"], ["left", "right"]]


def test_what_is_neither_is_refused(files: list[Path]) -> None:
    """One line that says what is valid."""
    with pytest.raises(InputError, match="first-mix"):
        interleaved_runs.sides("first-mix", files[0], "frist-mix")


def test_a_run_of_a_series_stands_for_its_side(tmp_path: Path) -> None:
    """In turn, and nothing of the other side or of another series; a run of no series for itself."""
    noted = [("s", "a", 2), ("s", "a", 1), ("s", "b", 1), ("t", "a", 1), (None, None, 0)]
    for number, (name, side, turn) in enumerate(noted):
        about: dict[str, object] = ABOUT | {"id": f"r{number}"}
        about |= {"series": name, "side": side, "turn": turn} if name else {}
        (tmp_path / f"r{number}").mkdir()
        (tmp_path / f"r{number}" / "run.json").write_text(json.dumps(about))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    assert [path.name for path in run_series.runs_of_side(tmp_path / "r0")] == ["r1", "r0"]
    assert [path.name for path in run_series.runs_of_side(tmp_path / "r4")] == ["r4"]


def test_the_command_makes_the_runs_of_both_sides(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run gets the options that were given, and notes its series, side and turn."""
    started: list[list[str]] = []

    def load(words: Sequence[str]) -> Path:
        started.append(list(words))
        folder = tmp_path / f"r{len(started)}"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(ABOUT | {"id": folder.name}))
        return folder

    monkeypatch.setattr(load_process, "load", load)
    given = ["first-mix", "--deployment", str(files[0]), "--against", str(files[1]), "--repeat", "2"]
    options = ["--duration", "15s", "--users", "3", "--fault", "a:kill@1s+2s", "--fault", "b:kill@1s+2s"]
    done = CliRunner().invoke(run, [*given, *options, "--yes-break-it"], standalone_mode=False)
    assert done.exception is None
    assert [words[2] for words in started] == [str(path) for path in (*files, *files)]
    assert all(
        words[5:] == ["--users", "3", "--duration", "15.0", "--fault", "a:kill@1s+2s",
                      "--fault", "b:kill@1s+2s", "--yes-break-it"]
        for words in started
    )  # fmt: skip
    runs = [json.loads((tmp_path / f"r{n}" / "run.json").read_text()) for n in (1, 2, 3, 4)]
    assert [(each["side"], each["turn"]) for each in runs] == [
        ("guide", 1), ("checked", 1), ("guide", 2), ("checked", 2),
    ]  # fmt: skip
    assert len({each["series"] for each in runs}) == 1
    compared = " ".join(str(tmp_path / f"r{n}") for n in (1, 2, 3, 4))
    assert done.stdout.splitlines()[-1] == f"compare: calorimeter compare {compared}"


@pytest.mark.parametrize("option", ["--web", "--abort-on-objective"])
def test_some_options_are_for_a_single_run(files: list[Path], option: str) -> None:
    """One line that says so."""
    words = ["--deployment", str(files[0]), "--repeat", "2", option]
    found = CliRunner().invoke(run, words, standalone_mode=False).exception
    assert isinstance(found, InputError)
    assert str(found) == f"{option}: given with --repeat or --against; valid: for a single run"
