"""A lab touches nothing but its own: not through names, links, foreign folders or foreign processes."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.lab import lab
from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.lab import lab_state, lock, ports, take_down
from tests.core.host.test_ownership import give_away


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A short state folder of this test alone: a lab's folder holds sockets."""
    with tempfile.TemporaryDirectory(prefix="cal-") as short:
        monkeypatch.setenv("XDG_STATE_HOME", short)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        yield Path(short)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A folder that is no lab's."""
    folder = tmp_path / "precious"
    folder.mkdir()
    (folder / "thesis.txt").write_text("kept")
    return folder


@pytest.mark.parametrize("name", ["../../x", "/etc", "a/b", ".", "x\x1b[31m", "x\n", "x\0", "٣"])
@pytest.mark.parametrize("command", ["up", "down", "status", "logs", "usage", "heal"])
def test_a_name_is_no_path(command: str, name: str) -> None:
    """Every command of the lab refuses it in one line, in which no escape sequence is left."""
    done = CliRunner().invoke(lab, [command, "--name", name])
    assert isinstance(done.exception, InputError)
    assert "valid: 1 to 20 of a-z, 0-9 and -" in str(done.exception)
    assert str(done.exception).isprintable()


def test_no_lab_is_taken_down_through_a_link(precious: Path) -> None:
    """A lab's folder that is a link is refused, by name and by `--all`; its target is kept."""
    link = paths.lab("x")
    files.make_folder(link.parent)
    link.symlink_to(precious)
    with pytest.raises(InputError, match="is a symbolic link"):
        take_down.down(lab_state.folder("x"))
    assert CliRunner().invoke(lab, ["down", "--all"]).exit_code == 0
    assert (precious / "thesis.txt").read_text() == "kept"


def test_links_in_a_labs_folder_are_removed_and_their_targets_kept(precious: Path) -> None:
    """Taking a lab down removes its own tree only."""
    folder = files.make_folder(paths.lab("x"))
    (folder / "logs").symlink_to(precious)
    (folder / "lab.json").symlink_to(precious / "thesis.txt")
    assert take_down.down(lab_state.folder("x"))
    assert not folder.exists() and (precious / "thesis.txt").read_text() == "kept"


def test_a_lab_of_another_user_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its configuration would run with this user's rights."""
    folder = files.make_folder(paths.lab("x"))
    give_away(folder, monkeypatch)
    with pytest.raises(InputError, match="belongs to user"):
        lab_state.folder("x")


def test_what_is_no_lab_is_none_of_all_labs() -> None:
    """`down --all` and `status` pass over files, links and folders whose names no lab can have."""
    for name in ("x", "y\x1b[31m", "UPPER"):
        files.make_folder(paths.lab(name))
    files.write(paths.lab("file"), "")
    assert lab_state.names(whole=False) == ["x"]


@contextmanager
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with labs, although one of its arguments is `lab`."""
    with subprocess.Popen(["sh", "-c", "read x", "lab"], stdin=subprocess.PIPE) as process:
        yield process


def test_a_lock_that_names_a_stranger_ends_nobody() -> None:
    """The process that `lab down` ends holds the lock's file open; a number in a file proves nothing."""
    folder = files.make_folder(paths.lab("x"))
    with stranger() as process:
        files.write(folder.with_suffix(".lock"), str(process.pid))
        assert lock.holder(folder) is None
        assert take_down.down(folder)
        assert process.poll() is None
    for text in ("-1", "0", "1", "x", "", "9" * 50, "1\0"):
        files.write(folder.with_suffix(".lock"), text)
        assert lock.holder(folder) is None


def test_the_holder_of_the_lock_is_known() -> None:
    """It is the process that has the file open and wrote its number."""
    folder = files.make_folder(paths.lab("x"))
    with lock.held(folder, 0):
        assert lock.holder(folder) == os.getpid()


def test_the_registry_of_ports_is_not_reached_through_another_users_link(
    precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/tmp is everybody's: a folder or link that somebody else put there is refused, and not written."""
    registry = Path(tempfile.gettempdir()) / f"calorimeter-{os.getuid()}"
    registry.symlink_to(precious)
    give_away(registry, monkeypatch)
    with pytest.raises(InputError, match="is a symbolic link of user|belongs to user"):
        ports.reserve(["rest"], precious)
    assert [path.name for path in precious.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["[1]", '"x"', "{", '{"20000": [1]}', "[" * 100_000, "\ud800"])
def test_a_damaged_registry_of_ports_is_begun_again(text: str, tmp_path: Path) -> None:
    """What is no table of ports and folders reserves nothing."""
    registry = files.make_folder(Path(tempfile.gettempdir()) / f"calorimeter-{os.getuid()}")
    files.write(registry / "ports.json", text.encode("utf-8", "surrogatepass"))
    assert ports.reserve(["rest"], tmp_path)["rest"] >= ports.LOWEST


def test_files_of_a_lab_are_private_whatever_the_umask() -> None:
    """lab.json, secrets and locks: 0600 in folders of 0700."""
    before = os.umask(0)
    try:
        folder = files.make_folder(lab_state.folder("x"))
        with lock.held(folder, 0):
            lab_state.write(lab_state.LabTopology(name="x"), folder)
            lab_state.write_secrets({"a": "b"}, folder)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {0o600}
    assert folder.with_suffix(".lock").stat().st_mode & 0o777 == 0o600
    assert {each.stat().st_mode & 0o777 for each in (folder, *list(folder.parents)[:2])} == {0o700}


def test_a_dead_link_is_no_lab() -> None:
    """Even a link that leads nowhere is refused: a lab would be made where it points."""
    link = paths.lab("x")
    files.make_folder(link.parent)
    link.symlink_to(link.parent / "nowhere")
    with pytest.raises(InputError, match="is a symbolic link"):
        lab_state.folder("x")
