"""Sabotage of a lab's proxy, as configuration: what each changes, and what it leaves alone."""

from __future__ import annotations

from difflib import ndiff
from pathlib import Path

import pytest

from calorimeter.config.haproxy.haproxy_writer import render
from calorimeter.lab.daemons import haproxy, heat
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.lab.programs import Programs
from calorimeter.lab.sabotage.proxy_sabotage import SABOTAGES

CHANGES = {
    "roundrobin": {"- balance  source": 2, "+ balance  roundrobin": 2},
    "leastconn": {"- balance  source": 2, "+ balance  leastconn": 2},
    "cfn-roundrobin": {"- balance  source": 1, "+ balance  roundrobin": 1},
    "keepalive-off": {"- option  tcpka": 2},
    "stick-table": {"+ stick on src": 2, "+ stick-table type ip size 100k expire 1h": 2},
    "short-timeout": {"- timeout  client 1m": 1, "+ timeout  client 1s": 1},
    "wrong-address": {"- bind 127.0.0.1:8000": 1, "+ bind 127.0.0.9:8000": 1},
}
"""Sabotage → the lines that go and come, and how often."""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab that is not up: three backends an API."""
    names = [f"{api}-{n}" for api in ("rest", "cfn") for n in (1, 2, 3)]
    ports = {"rest": 8004, "cfn": 8000, "log": 5140, **{name: 9000 + n for n, name in enumerate(names)}}
    nowhere = Path("/nowhere")
    programs = Programs(*(nowhere,) * 6)
    return Lab(tmp_path, LabTopology(name="literal", rest=3, cfn=3, ports=ports), {}, programs)


def difference(lab: Lab, sabotage: str) -> list[str]:
    """The lines that a sabotage takes away and adds."""
    healthy = haproxy.config(lab)
    texts = [render(healthy), render(SABOTAGES[sabotage].proxy(lab, healthy))]
    before, after = ([line.strip() for line in text.splitlines()] for text in texts)
    return [line for line in ndiff(before, after) if line[0] in "+-"]


@pytest.mark.parametrize("sabotage", CHANGES)
def test_sabotage_changes_what_it_says_and_nothing_else(sabotage: str, lab: Lab) -> None:
    """The lines that differ are exactly those of the sabotage."""
    lines = difference(lab, sabotage)
    assert {line: lines.count(line) for line in lines} == CHANGES[sabotage]


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_every_sabotage_changes_something(sabotage: str, lab: Lab) -> None:
    """No sabotage leaves the proxy as it is."""
    assert difference(lab, sabotage)


def test_one_server_is_missing_and_one_is_heavier(lab: Lab) -> None:
    """A sabotage of REST leaves CFN alone."""
    assert [line.split()[:3] for line in difference(lab, "missing-server")] == [["-", "server", "rest-3"]]
    assert any("weight 3" in line and "rest-1" in line for line in difference(lab, "weight"))


def test_engine_is_started_with_the_workers_of_its_own_file(lab: Lab) -> None:
    """A sabotaged engine that a gate kills serves again as it was; without a number, as the lab."""
    file = heat.file(lab, "engine-1")
    file.parent.mkdir()
    for text, workers in (("num_engine_workers = 4", 4), ("num_engine_workers = none", 1), ("", 1)):
        file.write_text(f"[DEFAULT]\ntransport_url = rabbit://%2F$$\n{text}\n")
        assert heat.workers(lab, "engine-1") == workers
