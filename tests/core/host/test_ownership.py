"""What lies in the state folder is used only if nobody else can have put it there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calorimeter.core import files, paths
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns, ownership

STRANGER = 54_321


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a file be another user's: by changing its owner as root, else by being another user."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, STRANGER, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A file two folders below a state folder; as an earlier version left them with umask 022."""
    root = tmp_path / "calorimeter"
    file = root / "faults" / "0123.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    root.chmod(0o755), file.parent.chmod(0o700), file.chmod(0o644)
    return file


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(modes=st.tuples(*[st.sampled_from([0o700, 0o755, 0o750, 0o777, 0o757, 0o1777, 0o702])] * 3))
def test_nothing_that_everybody_can_write_is_used(tree: Path, modes: tuple[int, int, int]) -> None:
    """A file is used if, and only if, others can write neither it nor a folder above it."""
    root = tree.parents[1]
    for each, mode in zip((tree, tree.parent, root), modes, strict=True):
        each.chmod(mode)
    try:
        if any(mode & 0o002 for mode in modes):
            with pytest.raises(InputError, match="with which others can write it, so nothing in it is"):
                ownership.own(tree, root)
        else:
            assert ownership.own(tree, root) == tree
    finally:
        root.chmod(0o700), tree.parent.chmod(0o700)


@pytest.mark.parametrize("which", [0, 1, 2], ids=["the file", "its folder", "the state folder"])
def test_nothing_of_another_user_is_used(tree: Path, which: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file, its folder and the state folder each belong to this user or to root."""
    give_away((tree, *tree.parents)[which], monkeypatch)
    with pytest.raises(InputError, match=r"belongs to user .*run this as that user"):
        ownership.own(tree, tree.parents[1])


def test_sudo_uses_what_its_caller_owns(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With sudo that keeps $HOME, the state is that of the user who called it; `su` names no such user."""
    real = tree.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if real == 0:
        os.chown(tree, STRANGER, STRANGER)
        real = STRANGER
    with pytest.raises(InputError, match="belongs to"):
        ownership.own(tree, tree.parents[1])
    monkeypatch.setenv("SUDO_UID", str(real))
    assert ownership.own(tree, tree.parents[1]) == tree
    monkeypatch.setattr(os, "geteuid", lambda: 4711)  # not root: the variable is anybody's
    with pytest.raises(InputError, match="belongs to"):
        ownership.own(tree, tree.parents[1])


def _link_file(tree: Path) -> Path:
    target = tree.rename(tree.with_name("elsewhere"))
    tree.symlink_to(target)
    return tree


def _link_folder(tree: Path) -> Path:
    target = tree.parent.rename(tree.parents[1] / "elsewhere")
    tree.parent.symlink_to(target)
    return tree


def _pipe(tree: Path) -> Path:
    tree.unlink()
    os.mkfifo(tree, 0o600)
    return tree


@pytest.mark.parametrize("make", [_link_file, _link_folder, _pipe])
def test_links_and_pipes_are_no_files_of_the_state(tree: Path, make: Callable[[Path], Path]) -> None:
    """Neither the file nor a folder within the state folder is a link; a pipe is not waited for."""
    with pytest.raises(InputError, match="is a symbolic link|is no regular file"):
        ownership.own(make(tree), tree.parents[1])


def test_the_state_folder_itself_may_be_reached_by_ones_own_link(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user may keep the state on another disk; another user's link leads nowhere."""
    link = tmp_path / "link"
    link.symlink_to(tree.parents[1])
    assert ownership.own(link / "faults" / "0123.json", link)
    give_away(link, monkeypatch)
    with pytest.raises(InputError, match="is a symbolic link of user|belongs to user"):
        ownership.own(link / "faults" / "0123.json", link)


def test_what_does_not_exist_is_nobodys(tmp_path: Path) -> None:
    """A state folder that is not there yet is no error."""
    assert ownership.own(tmp_path / "calorimeter" / "labs" / "x", tmp_path / "calorimeter")


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "HOME"])
def test_the_state_folder_does_not_depend_on_the_working_folder(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is refused: the next command would find neither journal nor lab."""
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv(variable, "state")
    with pytest.raises(InputError, match=rf"\${variable}: is 'state'; valid: an absolute path"):
        paths.state()


def test_the_only_labs_deployment_is_found_only_if_it_is_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployment file names commands, and this one is used without being named."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("CALORIMETER_DEPLOYMENT", raising=False)
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "calorimeter" / "labs" / "x" / "deployment.toml"
    file.parent.mkdir(parents=True)
    file.touch(0o600)
    assert paths.deployment(None) == file
    file.parent.chmod(0o777)
    with pytest.raises(InputError, match="has mode 777"):
        paths.deployment(None)


@pytest.mark.parametrize("name", ["../../proc/1/ns/net", "/proc/1/ns/net", "a/b", ".", ""])
def test_a_namespace_has_a_name_and_no_path(name: str) -> None:
    """`clients.netns` cannot lead out of the folder of namespaces."""
    with pytest.raises(InputError, match="valid: one of `ip netns`"):
        netns.enter(name, "here")


def test_a_private_file_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets of another user, and those that others may read, are refused; root's are used."""
    file = tmp_path / "secrets.toml"
    files.write(file, "", mode=files.PRIVATE)
    ownership.require_private(file)
    file.chmod(0o640)
    with pytest.raises(InputError, match="has mode 640; valid: 600"):
        ownership.require_private(file)
    file.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(file, 1, 1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 0x7FFFFFF0)
    with pytest.raises(InputError, match="belongs to user"):
        ownership.require_private(file)
    monkeypatch.setenv("SUDO_UID", str(file.stat().st_uid))
    if os.geteuid() == 0:
        ownership.require_private(file)
