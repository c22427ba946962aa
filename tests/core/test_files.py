"""Files are written whole or not at all, and nothing but a regular file is ever replaced."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from calorimeter.core import files, waiting
from calorimeter.core.errors import InputError


def test_a_device_is_written_to_and_stays_a_device() -> None:
    """Before, `-o /dev/null --force` as root replaced the device by a regular file."""
    before = Path("/dev/null").stat()
    files.write(Path("/dev/null"), "text", mode=files.PRIVATE)
    after = Path("/dev/null").stat()
    assert stat.S_ISCHR(after.st_mode)
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def _written(pipe: Path) -> bool:
    try:
        files.write(pipe, "text")
    except InputError:
        return False
    return True


def test_a_pipe_gets_the_text(tmp_path: Path) -> None:
    """A pipe is written to, not replaced; without a reader it is an error and not a wait."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    with pytest.raises(InputError, match="cannot be written"):
        files.write(pipe, "text")
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    waiting.until(lambda: _written(pipe), 10)
    reader.join(10)
    assert got == ["text"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    """A symbolic link within the folder is followed and stays a link; one that leads out is refused."""
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_text("kept")
    (tmp_path / "here" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="is a symbolic link to"):
        files.write(tmp_path / "here" / "out", "text")
    assert (tmp_path / "secret").read_text() == "kept"
    (tmp_path / "here" / "in").symlink_to("file")
    files.write(tmp_path / "here" / "in", "text")
    assert (tmp_path / "here" / "file").read_text() == "text"
    assert (tmp_path / "here" / "in").is_symlink()


def test_a_folder_and_a_missing_folder_get_one_line(tmp_path: Path) -> None:
    """What cannot be written is refused, and nothing is left behind."""
    with pytest.raises(InputError, match="is a folder"):
        files.write(tmp_path, "text")
    with pytest.raises(InputError, match="cannot be written"):
        files.write(tmp_path / "none" / "file", "text")
    assert not list(tmp_path.iterdir())


def test_a_replaced_file_keeps_its_mode_unless_it_holds_secrets(tmp_path: Path) -> None:
    """A mode that the owner chose stays; a file of secrets is always for its owner only."""
    file = tmp_path / "file"
    files.write(file, "one")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    file.chmod(0o664)
    files.write(file, "two")
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("two", 0o664)
    files.write(file, "three", mode=files.PRIVATE)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
