"""What is missing is named as the packages to install."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab import programs


def test_missing_programs_are_named_as_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line names every missing package once, ready for apt-get."""
    missing = {
        "no-such-daemon": "b-server",
        "no-such-tool": "b-server",
        "no-such-proxy": "a-proxy",
        "sh": "dash",
    }
    monkeypatch.setattr(programs, "PACKAGES", missing)
    monkeypatch.setattr(programs, "RABBITMQ", Path("/bin/sh"))
    with pytest.raises(
        InputError, match="missing a-proxy b-server; run bin/setup, or: sudo apt-get install"
    ):
        programs.found()


def test_outside_a_clone_the_clone_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Installed with pip there is no bin/setup: a clone has it."""
    monkeypatch.setenv("CALORIMETER_HEAT_VENV", str(tmp_path))
    monkeypatch.setattr(programs, "REPOSITORY", tmp_path)
    with pytest.raises(InputError, match="needs a clone of Calorimeter's repository: run bin/setup there"):
        programs.heat_venv()


def test_a_missing_heat_names_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An environment without Heat is named with its path and with `bin/setup`."""
    monkeypatch.setenv("CALORIMETER_HEAT_VENV", str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}: has no Heat and Keystone; run bin/setup"):
        programs.heat_venv()
