"""The journal of open faults executes commands: only those that this user's own suite wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from calorimeter.core import paths
from calorimeter.core.errors import InputError
from calorimeter.core.faults.journal import Journal, JournalContent, OpenFault, heal_leftovers
from tests.core.host.test_ownership import give_away

DEPLOYMENT = Path("/d.toml")


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal as an earlier version left it; healing creates the file `executed`."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = Journal.at(DEPLOYMENT).path
    file.parent.mkdir(parents=True, mode=0o700)
    write(file, tmp_path / "executed")
    return file


def write(file: Path, witness: Path) -> None:
    """Write a journal in the form of earlier versions, with the mode that umask 022 gave it."""
    fault = {"part": "a", "fault": "kill", "heal": f"touch {witness}", "begun_ns": 1}
    content = {"deployment": str(DEPLOYMENT), "name": "cloud", "lab": False, "open": [fault]}
    file.write_text(json.dumps(content))
    file.chmod(0o644)


def test_a_journal_of_an_earlier_version_is_healed(journal: Path, tmp_path: Path) -> None:
    """Mode 644 in a private folder below one of mode 755 is what earlier versions wrote."""
    paths.state().chmod(0o755)
    heal_leftovers(DEPLOYMENT)
    assert (tmp_path / "executed").exists() and not journal.exists()


def _foreign(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(file, monkeypatch)


def _foreign_folder(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(file.parent, monkeypatch)


def _foreign_state(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    give_away(paths.state(), monkeypatch)


def _open_file(file: Path, _: pytest.MonkeyPatch) -> None:
    file.chmod(0o666)


def _open_folder(file: Path, _: pytest.MonkeyPatch) -> None:
    file.parent.chmod(0o777)


def _open_state(file: Path, _: pytest.MonkeyPatch) -> None:
    paths.state().chmod(0o1777)


def _link(file: Path, _: pytest.MonkeyPatch) -> None:
    file.symlink_to(file.rename(paths.state().parent / "theirs"))


def _pipe(file: Path, _: pytest.MonkeyPatch) -> None:
    file.unlink()
    os.mkfifo(file)


def _huge(file: Path, _: pytest.MonkeyPatch) -> None:
    os.truncate(file, 2**40)


def _deep(file: Path, _: pytest.MonkeyPatch) -> None:
    file.write_text("[" * 100_000)


@pytest.mark.parametrize(
    "plant",
    [
        *(_foreign, _foreign_folder, _foreign_state, _open_file, _open_folder, _open_state),
        *(_link, _pipe, _huge, _deep),
    ],
)
def test_a_journal_that_others_can_have_put_there_is_not_executed(
    journal: Path,
    tmp_path: Path,
    plant: Callable[[Path, pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another owner, mode, a link, a pipe, too large or damaged: one line, and nothing is executed."""
    plant(journal, monkeypatch)
    with pytest.raises(InputError) as problem:
        heal_leftovers(DEPLOYMENT)
    assert str(problem.value).count("\n") == 0
    assert not (tmp_path / "executed").exists()


def test_journals_of_other_deployments_are_not_touched(journal: Path, tmp_path: Path) -> None:
    """A command heals its own deployment: neither a bad journal of another nor its faults concern it."""
    other = Journal.at(Path("/other.toml")).path
    write(other, tmp_path / "other")
    journal.chmod(0o666)
    heal_leftovers(Path("/other.toml"))
    assert (tmp_path / "other").exists() and not other.exists()
    assert journal.exists() and not (tmp_path / "executed").exists()


def test_a_lock_that_is_a_link_is_not_written_through(journal: Path, tmp_path: Path) -> None:
    """The lock beside a journal is a file of its own."""
    target = tmp_path / "precious"
    target.write_text("kept")
    journal.with_suffix(".lock").symlink_to(target)
    with pytest.raises(InputError):
        heal_leftovers(DEPLOYMENT)
    assert target.read_text() == "kept"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_journals_and_their_folders_are_private_whatever_the_umask(
    umask: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0600 for files, 0700 for folders, from the state folder down."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "new"))
    journal = Journal(paths.state() / "faults" / "a.json")
    fault = OpenFault(part="a", fault="kill", heal="true", begun_ns=1)
    before = os.umask(umask)
    try:
        with journal.held("breaking", 0) as locked:
            assert locked
            journal.write(JournalContent(deployment="/d", name="c", lab=False, open=(fault,)))
    finally:
        os.umask(before)
    made = sorted((tmp_path / "new").rglob("*"))
    assert {path.name: path.stat().st_mode & 0o777 for path in made} == {
        **{"calorimeter": 0o700, "faults": 0o700},
        **{"a.json": 0o600, "a.lock": 0o600},
    }
