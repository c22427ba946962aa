"""Gates A on the files of sabotaged labs, none of which is up: which rules see which sabotage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calorimeter.config.audit.judgement import GATES, judged
from calorimeter.config.haproxy.haproxy_writer import render
from calorimeter.config.heat import heat_conf_writer
from calorimeter.core import deployment as deployments
from calorimeter.core.verdict import Outcome
from calorimeter.gates.audit.audited_files import audited
from calorimeter.gates.context import Context, Settings
from calorimeter.lab import deployment_file, lab_state, programs, tls_files
from calorimeter.lab.daemons import haproxy, heat
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.sabotage.engine_sabotage import ENGINE_SABOTAGES
from calorimeter.lab.sabotage.found_by import FOUND_BY
from calorimeter.lab.sabotage.proxy_sabotage import SABOTAGES


def planned(folder: Path, **asked: Any) -> Lab:
    """A lab as `lab up` plans it, with the files that gates A read."""
    topology = LabTopology(name="files", **asked)
    ports = {name: 20000 + n for n, name in enumerate(topology.port_names)}
    secrets = {**lab_state.fresh_secrets(), "ec2_access": "access", "ec2_secret": "secret"}
    lab = Lab(folder, topology.model_copy(update={"ports": ports}), secrets, programs.found())
    if topology.tls:
        tls_files.write(lab.tls_folder, topology.name, ())
    haproxy.conf(lab).parent.mkdir()
    haproxy.conf(lab).write_text(render(haproxy.config(lab)))
    for part in lab.topology.heat_parts:
        heat.prepare(lab, part)
    deployment_file.write(lab)
    return lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The usual lab."""
    return planned(tmp_path)


def red(lab: Lab) -> set[str]:
    """The gates A that are FAIL and not waived."""
    report = audited(Context(deployments.read(lab.deployment), Settings()))
    failed = [gate.id for gate in GATES if judged(gate.id)(report).outcome is Outcome.FAIL]
    return {gate for gate in failed if report.waived(gate) is None}


def test_a_healthy_lab_is_green(lab: Lab) -> None:
    """What is red under sabotage is red because of it."""
    assert red(lab) == set()


@pytest.mark.parametrize(
    "asked",
    [
        {"tls": ("proxy",)},
        {"tls": ("proxy", "backends", "broker")},
        {"tls": ("proxy", "backends"), "mode": "tcp"},
    ],
)
def test_a_lab_with_tls_is_green(
    asked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HAProxy accepts its file and certificate, and Heat's links will be https."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert red(planned(tmp_path, **asked)) == set()


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", FOUND_BY)
def test_sabotage_turns_the_gates_a_of_the_table_red(sabotage: str, lab: Lab) -> None:
    """The table names exactly the gates A that see a sabotage in the files."""
    if sabotage in SABOTAGES:
        config = SABOTAGES[sabotage].proxy(lab, haproxy.config(lab))
        haproxy.conf(lab).write_text(render(config))
    else:
        part = lab.topology.engine_parts[-1]
        options = heat_conf_writer.changed(heat.conf(lab, part), ENGINE_SABOTAGES[sabotage].options(lab))
        heat.file(lab, part).write_text(heat_conf_writer.render(options))
    assert red(lab) == {gate for gate in FOUND_BY[sabotage] if gate.startswith("A")}
