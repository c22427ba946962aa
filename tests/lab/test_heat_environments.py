"""Environments of Heat's later releases: made once, whole or not at all."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.lab import heat_environments, programs
from tests.places import CLONE

NOTHING = "openstack-heat==27.0.1 ; python_version < '3' --hash=sha256:" + "0" * 64 + "\n"
"""A lock of which uv installs nothing, so that it needs no network."""

MAKE = """
import sys
from dataclasses import fields
from pathlib import Path
from calorimeter.lab import heat_environments
heat_environments.CLONE = Path(sys.argv[1])
heat_environments.make_missing(["27"], lambda line: print(line, flush=True))
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a clone of this test alone; uv stays off the network."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setattr(heat_environments, "CLONE", tmp_path)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "heat-27.txt").write_text(NOTHING)


def test_it_is_made_once_where_nobody_else_can_write() -> None:
    """One line says that it takes its time; the second lab says nothing."""
    said: list[str] = []
    for _ in range(2):
        heat_environments.make_missing(["24", "27"], said.append)
    assert said == ["making Heat 27.0.1's environment, once for all labs"]
    folder = heat_environments.made("27")
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert (folder / "bin" / "python").exists()


@pytest.mark.slow
def test_one_process_makes_it_while_others_wait(tmp_path: Path) -> None:
    """Of two that need it at once, one makes it."""
    argv = [sys.executable, "-c", MAKE, str(tmp_path)]
    both = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=60)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0]
    assert "".join(said) == "making Heat 27.0.1's environment, once for all labs\n"


def test_what_was_not_finished_is_made_again() -> None:
    """After a kill of `lab up` the folder is there, without its stamp."""
    unfinished = heat_environments.folder("27")
    files.make_folder(unfinished / "bin")
    files.write(unfinished / "bin" / "remnant", "")
    with pytest.raises(InputError, match="its environment is missing: .*; `calorimeter lab up --heat 27`"):
        heat_environments.made("27")
    heat_environments.make_missing(["27"], lambda line: None)
    assert not (heat_environments.made("27") / "bin" / "remnant").exists()


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    """A lab that runs keeps the environment that it was started from."""
    before = heat_environments.folder("27")
    (tmp_path / "locks" / "heat-27.txt").write_text(f"{NOTHING}#\n")
    assert heat_environments.folder("27") != before


def test_one_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, and with nothing in uv's cache: what failed, and what to do. None is made."""
    monkeypatch.setenv("UV_OFFLINE", "0")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    (tmp_path / "locks" / "heat-27.txt").write_text(NOTHING.replace("< '3'", "> '3'"))
    with pytest.raises(InputError) as caught:
        heat_environments.make_missing(["27"], lambda line: None)
    assert re.match(
        "Heat 27.0.1: its environment cannot be made: error: .* cause: Connection refused",
        str(caught.value),
    )
    assert "repeat the command" in str(caught.value)
    assert not heat_environments.is_ready("27")


def test_a_missing_environment_is_one_line_for_a_part(tmp_path: Path) -> None:
    """`lab part start` after the cache was cleared says what makes it again."""
    paths = {field.name: tmp_path for field in fields(programs.Programs)}
    found = programs.Programs(**paths)
    assert found.heat("heat-engine") == str(tmp_path / "bin" / "heat-engine")
    with pytest.raises(InputError, match=r"Heat 27\.0\.1: its environment is missing"):
        found.heat("heat-engine", "27")


def test_releases_differ_in_heat_alone() -> None:
    """Every package of a later release has the version that Heat 24 runs with."""

    def pinned(name: str) -> dict[str, set[str]]:
        lines = re.findall(r"^([\w.-]+)==([^\s;]+)", (CLONE / "locks" / name).read_text(), re.MULTILINE)
        found: dict[str, set[str]] = {}
        for package, version in lines:
            found.setdefault(package, set()).add(version)
        return found

    first = pinned("heat.txt")
    for release in ("25", "26", "27"):
        later = pinned(f"heat-{release}.txt")
        differ = {name for name, versions in later.items() if first.get(name) != versions}
        assert differ == {"openstack-heat", "cotyledon"}
        assert next(iter(later["openstack-heat"])).startswith(f"{release}.")
