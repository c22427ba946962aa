"""How long gates will take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calorimeter.core.recorded import gate_times
from calorimeter.core.recorded.gate_times import GateTime, GateTimes
from calorimeter.gates.expected_time import left, of_earlier_runs

WHOLE = {"sources": 1000}


def earlier(
    runs: Path, name: str, deployment: str, settings: dict[str, int] = WHOLE, **took_s: float
) -> Path:
    """A folder of an acceptance run in which these gates took so long."""
    folder = runs / name
    folder.mkdir(parents=True)
    about = {
        **{"schema_version": 1, "id": name, "started": "2026-01-02T03:04:05+00:00"},
        **{"deployment": deployment, "commands": [], "environment": {}},
    }
    (folder / "run.json").write_text(json.dumps(about))
    gates = tuple(GateTime(gate=gate, at_s=0.0, took_s=seconds) for gate, seconds in took_s.items())
    gate_times.write(GateTimes(settings=settings, gates=gates), folder)
    return folder


def test_the_newest_run_of_the_same_deployment_counts(tmp_path: Path) -> None:
    """An older one fills in what it lacks; another deployment's, a damaged, a weaker one do not."""
    earlier(tmp_path, "20260101T000000Z-verify-aaaa", "mine", S1=5.0, E1=7.0)
    earlier(tmp_path, "20260102T000000Z-verify-aaaa", "mine", S1=6.0)
    earlier(tmp_path, "20260103T000000Z-verify-aaaa", "other", S1=100.0)
    damaged = earlier(tmp_path, "20260104T000000Z-verify-aaaa", "mine", S1=200.0)
    (damaged / gate_times.FILE).write_text("[")
    earlier(tmp_path, "20260105T000000Z-verify-aaaa", "mine", {"sources": 300}, S1=1.0)
    assert of_earlier_runs(tmp_path, "mine", WHOLE) == {"S1": 6.0, "E1": 7.0}
    assert of_earlier_runs(tmp_path, "mine", {"sources": 300}) == {"S1": 1.0}
    assert of_earlier_runs(tmp_path / "nothing", "mine", WHOLE) == {}


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        (["S1"], "about 30 s left"),
        (["S1", "E1"], "about 2 min left"),
        (["S1", "H1"], ""),
        ([], ""),
    ],
)
def test_what_is_left_is_said_if_it_is_known(gates: list[str], said: str) -> None:
    """A sum with a gap would be too small."""
    assert left({"S1": 30.2, "E1": 89.0}, gates) == said
