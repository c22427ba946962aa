"""Shapes that no lab can have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.lab import combinations
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_topology import LabTopology


@pytest.mark.parametrize(
    ("asked", "line"),
    [
        (
            {"heat": "25", "serve": "eventlet"},
            "--serve: eventlet given with --heat 25, .*; valid: gunicorn, uw",
        ),
        ({"tls": ("backends",)}, "--tls: backends given without proxy; valid: proxy,backends"),
        ({"tls": ("proxy",), "mode": "tcp"}, "--mode: tcp given with --tls proxy: .*; valid: http, or"),
        (
            {"tls": ("proxy", "backends"), "serve": "uwsgi"},
            "--serve: uwsgi given with --tls backends, .*; valid: gunicorn",
        ),
        ({"brokers": 2}, "--brokers: 2 given; valid: 1, 3 or 5"),
        ({"partition_handling": "ignore"}, "--partition-handling: given for a single broker"),
        ({"messaging": "recommended", "prefetch": 0}, "--prefetch: 0 given with --messaging recommended"),
        ({"peers": True}, "--peers: given for a single proxy"),
        ({"balance": "uri"}, "--balance: uri given with mode tcp, .*; valid: --mode http, or source"),
        ({"weights": (1, 2, 3)}, "--weights: .1, 2, 3. given; valid: at most one"),
        ({"sample": "guide", "rest": 3}, "--rest: 3 given with --sample guide"),
        ({"sample": "guide", "cfn": 1}, "--cfn: 1 given with --sample guide"),
        ({"sample": "guide", "brokers": 3}, "--brokers: 3 given with --sample guide"),
        ({"sample": "guide", "proxies": 2}, "--proxies: 2 given with --sample guide"),
        ({"sample": "guide", "engines_per_host": 2}, "--engines-per-host: 2 given with --sample guide"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_in_one_line(asked: dict[str, Any], line: str) -> None:
    """The line names the option, what was given and what is valid."""
    with pytest.raises(InputError, match=line):
        combinations.check(LabTopology(name="x", **asked), {})


def test_ports_are_those_of_the_guide_where_hosts_are_namespaces() -> None:
    """A front port can be chosen on loopback only."""
    combinations.check(LabTopology(name="x"), {"rest": 8004})
    with pytest.raises(InputError, match="--rest-port: given with --sample guide"):
        combinations.check(LabTopology(name="x", sample="guide"), {"rest": 8004})


@pytest.mark.parametrize(
    ("asked", "option"), [({"sample": "guide"}, "--sample guide"), ({"proxies": 2}, "--proxies 2")]
)
def test_what_needs_root_is_refused_to_others(
    asked: dict[str, Any], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hosts are network namespaces: without the right to make them nothing starts."""
    monkeypatch.setattr(netns, "may_be_made", lambda: True)
    combinations.check(LabTopology(name="x", **asked), {})
    monkeypatch.setattr(netns, "may_be_made", lambda: False)
    combinations.check(LabTopology(name="x"), {})
    with pytest.raises(InputError) as refused:
        combinations.check(LabTopology(name="x", **asked), {})
    assert str(refused.value) == f"{option}: network namespaces cannot be created here; {network.ADVICE}"


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--sample", "guide"), ("--proxies", "2")])
def test_an_ordinary_user_is_told_so_before_anything_starts(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, exit status 2, no file; this process has the capabilities of an ordinary user."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    command = [*without, sys.executable, "-m", "calorimeter", "lab", "up", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"calorimeter: {' '.join(words)}: network namespaces cannot be created here; run it"
    )
    assert list(tmp_path.iterdir()) == []
