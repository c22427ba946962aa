"""Gates V on a real pair of proxies: green when it is healthy, red for the right reason under sabotage."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calorimeter.config import deployment_writer
from calorimeter.core import verdict
from calorimeter.core.deployment import Deployment
from calorimeter.core.verdict import Judgement, Outcome
from calorimeter.lab.sabotage import pair_sabotage
from tests.conftest import lab_command, temporary_lab
from tests.lab.hosts.pair_outages import holder
from tests.places import PROGRAMS

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]


@pytest.fixture(scope="module")
def pair() -> Iterator[Deployment]:
    """A pair; a test that breaks something mends it."""
    shape = ("--proxies", "2", "--rest", "2", "--cfn", "2", "--engines", "1")
    with temporary_lab(f"gates-v-{os.getpid()}", *shape) as made:
        yield made


def varied(
    lab: Deployment, folder: Path, fault: tuple[str, str], vrrp: dict[str, Any] | None = None
) -> Path:
    """A copy of the lab's deployment file that allows one fault (kind, fault) of proxies and hosts."""
    kind, allowed = fault
    tree = lab.model_dump(mode="json", exclude_none=True)
    for part in tree["parts"]:
        if part["kind"] not in ("proxy", "host"):
            continue
        part["faults"] = {n: f for n, f in part["faults"].items() if (part["kind"], n) == (kind, allowed)}
        for action in ("kill", "stop", "freeze"):
            if (part["kind"], action) != (kind, allowed):
                part.pop(action, None)
    for proxy in tree["proxy"]:
        proxy["vrrp"] |= vrrp or {}
    file = folder / "deployment.toml"
    deployment_writer.write(Deployment.model_validate_json(json.dumps(tree)), file)
    shutil.copy(lab.path.parent / "secrets.toml", folder / "secrets.toml")
    return file


def judged(file: Path, gates: str, runs: Path) -> dict[str, Judgement]:
    """The judgements of gates on the pair; it is a process of its own that enters the client's network."""
    command = [sys.executable, "-m", "calorimeter", "verify", str(file), "--gates", gates]
    command += ["--runs", str(runs), "--yes-break-it"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode in (0, 1), done.stderr
    (kept,) = runs.glob("*/verdicts.json")
    found = {each.gate: each.judgement for each in verdict.read(kept).verdicts}
    print({gate: (each.outcome.value, each.why, each.figures) for gate, each in found.items()})
    return found


def test_a_healthy_pair_is_green(pair: Deployment, tmp_path: Path) -> None:
    """All faults of V1, and V3 by prediction for both APIs."""
    found = judged(pair.path, "V", tmp_path)
    assert {gate: each.outcome for gate, each in found.items()} == dict.fromkeys(
        ("V1", "V2", "V3"), Outcome.PASS
    ), found
    figures = found["V1"].figures
    for fault in ("proxy_kill", "proxy_freeze", "host_kill", "host_unreachable"):
        assert 0 < float(figures[f"{fault}_moved_s"] or 0) < float(figures[f"{fault}_allowed_s"] or 0)
    assert "the predicted one" in found["V3"].why


@pytest.mark.parametrize(
    ("what", "gate", "fault", "said"),
    [
        ("unasked-proxy", "V1", ("proxy", "kill"), "no request was answered in the"),
        ("taken-back", "V2", ("host", "unreachable"), "although proxy-"),
        ("other-order", "V3", ("proxy", "kill"), "sources are on another backend when proxy-"),
    ],
)
def test_a_sabotage_is_red_in_its_gate(
    pair: Deployment, tmp_path: Path, what: str, gate: str, fault: tuple[str, str], said: str
) -> None:
    """And says what is wrong."""
    assert pair_sabotage.PAIR_SABOTAGES[what].gate == gate
    done = lab_command("sabotage", "--name", pair.name, what)
    assert done.returncode == 0, done.stderr
    try:
        _first_holds(pair)
        found = judged(varied(pair, tmp_path, fault), gate, tmp_path / "runs")[gate]
    finally:
        healed = lab_command("heal", "--name", pair.name)
    assert healed.returncode == 0, healed.stderr
    assert found.outcome is Outcome.FAIL, found.why
    assert said in found.why


@pytest.mark.parametrize(("delay_s", "outcome"), [(0.0, Outcome.FAIL), (10.0, Outcome.PASS)])
def test_a_return_needs_a_delay_for_the_checks_of_the_proxy(
    pair: Deployment, tmp_path: Path, delay_s: float, outcome: Outcome
) -> None:
    """Where `preempt` is wanted: without a delay clients are sent to a proxy whose servers are not UP."""
    _delay_preemption(pair, delay_s)
    try:
        _first_holds(pair)
        settings = {"preempt": True, "preempt_delay_s": delay_s}
        file = varied(pair, tmp_path, ("host", "unreachable"), settings)
        found = judged(file, "V2", tmp_path / "runs")["V2"]
    finally:
        healed = lab_command("heal", "--name", pair.name)
    assert healed.returncode == 0, healed.stderr
    assert found.outcome is outcome, found.why
    if outcome is Outcome.FAIL:
        assert "requests failed within" in found.why
        assert "`nopreempt`, or a `preempt_delay` that is longer" in found.why


def test_two_holders_are_red(pair: Deployment, tmp_path: Path) -> None:
    """A killed keepalived leaves the address behind."""
    part = f"keepalived-{holder(pair.name)}"
    assert lab_command("part", "--name", pair.name, part, "kill").returncode == 0
    try:
        file = varied(pair, tmp_path, ("proxy", "kill"))
        found = judged(file, "V1", tmp_path / "runs")["V1"]
    finally:
        assert lab_command("part", "--name", pair.name, part, "start").returncode == 0
    assert found.outcome is Outcome.FAIL, found.why
    assert "proxy-1 and proxy-2 had the virtual address at once before" in found.why


def _first_holds(pair: Deployment) -> None:
    """Give the address to the first proxy, which has the higher priority."""
    if holder(pair.name) == "2":
        for action in ("stop", "start"):
            assert lab_command("part", "--name", pair.name, "keepalived-2", action).returncode == 0
    assert holder(pair.name) == "1"


def _delay_preemption(pair: Deployment, delay_s: float) -> None:
    """Change the keepaliveds, from the client host: the front can be reached from there."""
    netns = pair.clients.netns
    assert netns is not None
    program = str(PROGRAMS / "delay_preemption.py")
    command = ["ip", "netns", "exec", netns, sys.executable, program, pair.name, str(delay_s)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
