"""The command line of Locust's process, as `calorimeter run` and studies start it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from calorimeter.core import shipped
from calorimeter.core.deployment import Address

LOCUSTFILE = shipped.folder("loadtests") / "locustfile.py"


def headless(deployment: Path, scenario: str, runs: Path) -> list[str]:
    """The command for a load without Locust's page; its progress goes to stderr."""
    return [*_command(deployment, scenario, runs), "--headless", "--progress", "--skip-log-setup"]


def with_page(at: Address, deployment: Path, scenario: str, runs: Path) -> list[str]:
    """The command for Locust's page at an address."""
    return [*_command(deployment, scenario, runs), "--web-host", at.host, "--web-port", str(at.port)]


def sizes(given: Mapping[str, float | None]) -> list[str]:
    """The words of options that were given."""
    return [word for name, value in given.items() if value for word in (name, repr(value))]


def _command(deployment: Path, scenario: str, runs: Path) -> list[str]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--deployment", str(deployment)]
    command += ["--scenario", scenario, "--runs", str(runs), "--exit-code-on-error", "0"]
    return [*command, "--with-parent", "--of-command", json.dumps(["calorimeter", *sys.argv[1:]])]
