"""Labs do not share state: no command touches another lab, whatever its name or version."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.lab import lab
from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.waiting import until
from calorimeter.lab import bring_up, lab_state, part_faults, ports, processes, take_down
from calorimeter.lab.lab_topology import LabTopology

root_only = pytest.mark.skipif(
    os.geteuid() != 0 or not part_faults.available()[1:], reason="needs root and nftables"
)


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder and a registry of this test alone; its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="c-") as short:
        monkeypatch.setenv("XDG_STATE_HOME", short)
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.setattr(tempfile, "tempdir", short)
        yield Path(short)


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts, ended after it."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for each in started:
        each.kill()
        each.wait()


def sleeper(folder: Path, part: str) -> subprocess.Popen[bytes]:
    """A process that is marked as a part of the lab in `folder`."""
    environment = {**os.environ, **processes.marks(folder, part)}
    process = subprocess.Popen(["sleep", "60"], env=environment)
    until(lambda: processes.running(folder, part), 10)
    return process


def test_taking_one_lab_down_leaves_those_whose_names_begin_alike(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    """Labs x, x-2 and x-22: processes, folders, ports and locks of the others stay."""
    names = ("x", "x-2", "x-22")
    for name in names:
        folder = files.make_folder(paths.lab(name))
        ports.reserve(["rest"], folder)
        sleepers.append(sleeper(folder, "rest-1"))
    for gone, name in enumerate(names, 1):
        assert take_down.down(lab_state.folder(name))
        alive = [bool(processes.running(paths.lab(each))) for each in names]
        kept = [bool(ports.reserved(paths.lab(each))) for each in names]
        assert alive == kept == [False] * gone + [True] * (3 - gone)


@root_only
def test_one_lab_does_not_heal_another(state: Path) -> None:
    """Tables of packet rules go with their own lab, also where another folder has a lab of its name."""
    mine, alike = f"t{os.getpid() % 10**8}", f"t{os.getpid() % 10**8}-2"
    tables = [f"calorimeter.{name}.rest-1.unreachable" for name in (mine, alike)]
    for name, table in zip((mine, alike), tables, strict=True):
        ports.claim_name(files.make_folder(paths.lab(name)))
        part_faults.make_table(table, None, ("type filter hook input priority 0; policy accept;",))
    try:
        namesake = files.make_folder(state / "other" / "labs" / alike)
        take_down.clear(namesake)
        assert part_faults.tables(alike) == tables[1:]
        take_down.clear(paths.lab(mine))
        assert part_faults.tables(mine) == []
        assert part_faults.tables(alike) == tables[1:]
    finally:
        for name in (mine, alike):
            part_faults.clear(name)


def test_a_name_that_another_state_folder_uses_is_refused(
    state: Path, sleepers: list[subprocess.Popen[bytes]]
) -> None:
    """Only while that lab runs; nothing of it is changed."""
    elsewhere = files.make_folder(state / "elsewhere" / "x")
    ports.claim_name(elsewhere)
    sleepers.append(sleeper(elsewhere, "rest-1"))
    with pytest.raises(InputError, match=r"lab x: is up in another state folder \(.*elsewhere/x\)"):
        bring_up.up(LabTopology(name="x"), {}, lambda line: None)
    assert not paths.lab("x").exists()
    assert processes.running(elsewhere)
    assert ports.name_holder(paths.lab("x")) == elsewhere


@pytest.mark.parametrize(
    ("content", "maker"),
    [
        ({"name": "x", "rest": 2, "queues": "classic"}, "another version of Calorimeter"),
        ({"made_by": "0.0.9", "format": 1, "name": "x"}, "Calorimeter 0.0.9"),
        ({"made_by": "\x1b[31m", "format": 2, "name": "x"}, "another version of Calorimeter"),
        ({"made_by": lab_state.MADE_BY[0], "format": 1, "name": "x"}, "another version of Calorimeter"),
    ],
)
def test_a_lab_of_another_version_is_refused_in_one_line(content: dict[str, object], maker: str) -> None:
    """By every command but `lab down`, which takes it down all the same, with the ports that it had."""
    folder = files.make_folder(paths.lab("x"))
    files.write(folder / "lab.json", json.dumps(content))
    ports.reserve(["rest", "cfn"], folder)
    advice = "take it down with `calorimeter lab down --name x`"
    for command in ("logs", "exec true", "shell", "usage", "heal", "scale --rest 3", "part rest-1 kill"):
        done = CliRunner().invoke(lab, [*command.split(), "--name", "x"])
        assert str(done.exception) == f"lab x: was made by {maker}; {advice}", command
    shown = CliRunner().invoke(lab, ["status"])
    assert (shown.exit_code, shown.output) == (1, f"calorimeter: lab x: was made by {maker}; {advice}\n")
    assert CliRunner().invoke(lab, ["down", "--name", "x"]).exit_code == 0
    assert not folder.exists() and ports.reserved(folder) == []


def test_down_all_goes_on_where_one_lab_cannot_be_taken_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and its exit status is that of the problem."""
    for name in ("a", "b", "c"):
        files.make_folder(paths.lab(name))
    clear = take_down.clear

    def stubborn(folder: Path) -> None:
        if folder.name == "a":
            raise InputError("lab a", "has processes that do not end")
        clear(folder)

    monkeypatch.setattr(take_down, "clear", stubborn)
    done = CliRunner().invoke(lab, ["down", "--all"])
    assert isinstance(done.exception, InputError)
    assert lab_state.names(whole=False) == ["a"]


def test_a_lab_without_hosts_has_no_host_to_go_to() -> None:
    """`lab exec` and `lab shell` refuse a host where a lab has none, before anything is entered."""
    folder = files.make_folder(paths.lab("x"))
    asked = LabTopology(name="x", ports=dict.fromkeys(LabTopology(name="x").port_names, 20001))
    lab_state.write(asked, folder)
    lab_state.write_secrets(lab_state.fresh_secrets(), folder)
    for words in (["exec", "--host", "A", "true"], ["shell", "--host", "A"]):
        done = CliRunner().invoke(lab, [*words, "--name", "x"])
        assert "--host: 'A' given for a lab without hosts" in str(done.exception)
