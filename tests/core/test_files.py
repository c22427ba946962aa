"""Files are written whole or not at all, and nothing but a regular file is ever replaced."""

from __future__ import annotations

import errno
import os
import re
import resource
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


def test_a_growing_file_is_new_and_private_whatever_the_umask(tmp_path: Path) -> None:
    """Neither a file nor a symbolic link that is there already is opened."""
    before = os.umask(0o777)
    try:
        with files.create(files.make_folder(tmp_path / "a" / "b") / "file") as file:
            file.write(b"one")
        with files.append(tmp_path / "a" / "b" / "file") as file:
            file.write(b" two")
        with files.append(tmp_path / "a" / "b" / "lines") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    folder = tmp_path / "a" / "b"
    assert (folder / "file").read_text() == "one two"
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in ("file", "lines")} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "a", folder)} == {0o700}
    (folder / "link").symlink_to("file")
    os.mkfifo(folder / "pipe")
    for name, opened in [("file", files.create), ("link", files.create), ("link", files.append)]:
        with pytest.raises(InputError, match="cannot be written"):
            opened(folder / name)
    with pytest.raises(InputError, match=r"cannot be written|is a pipe"):
        files.append(folder / "pipe")


def test_only_a_regular_file_of_a_bounded_size_is_read(tmp_path: Path) -> None:
    """A pipe is no wait without end, a device is not read, and a large file is an error."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "loop").symlink_to("loop")
    for name, problem in [("pipe", "is a pipe"), (".", "is a folder"), ("loop", "cannot be read")]:
        with pytest.raises(InputError, match=problem):
            files.read(tmp_path / name)
    with pytest.raises(InputError, match="is a device"):
        files.read(Path("/dev/zero"))
    with pytest.raises(files.MissingFileError, match="cannot be read"):
        files.read(tmp_path / "none")
    with pytest.raises(InputError, match="cannot be read"):
        files.read(Path("null\0character"))
    assert files.read(tmp_path / "file", limit=5) == b"12345"
    with pytest.raises(InputError, match="is too large"):
        files.read(tmp_path / "file", limit=4)


def test_a_file_that_waits_as_a_pipe_does_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc/kmsg calls itself a regular file, and waits for the kernel's next message."""
    (tmp_path / "file").write_bytes(b"12345")
    with files.open_to_read(tmp_path / "file") as file:
        assert not os.get_blocking(file.fileno())

    def waits(*_: object) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "pread", waits)
    with pytest.raises(InputError, match="cannot be read"):
        files.read(tmp_path / "file")


def test_a_descriptor_that_the_shell_opened_is_read() -> None:
    """`<(command)` and /dev/stdin are pipes that somebody asked for."""
    ours, theirs = os.pipe()
    os.write(theirs, b"text")
    os.close(theirs)
    try:
        assert files.read_text(Path(f"/dev/fd/{ours}")) == "text"
    finally:
        os.close(ours)


def test_a_link_out_of_a_folder_is_not_read(tmp_path: Path) -> None:
    """A run folder of somebody else must not show our files; links within it are files of its own."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "file").write_text("text")
    (folder / "inside").symlink_to("file")
    (folder / "out").symlink_to("../secret")
    (folder / "away").symlink_to("..")
    assert files.read_text(folder / "inside", within=folder) == "text"
    for name in ("out", "away/secret"):
        with pytest.raises(InputError, match="is a symbolic link out of"):
            files.read(folder / name, within=folder)


def test_damaged_text_and_json_are_one_line(tmp_path: Path) -> None:
    """Bytes that are not UTF-8, JSON that is cut, deep or not finite."""
    file = tmp_path / "file"
    file.write_bytes(b"one\ntwo \xff")
    with pytest.raises(InputError, match="is not UTF-8 text: byte 0xff in line 2"):
        files.read_text(file)
    for text, problem in [("{", "not JSON"), ("[" * 100_000, "nested too deeply"), ("[NaN]", "NaN is no")]:
        file.write_text(text)
        with pytest.raises(InputError, match=problem):
            files.read_json(file)
    file.write_text("one\r\n" + "x" * (files.LINE_LIMIT + 1))
    lines = files.read_lines(file)
    assert next(lines) == b"one"
    with pytest.raises(InputError, match="a line that is too long"):
        next(lines)


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    """On a full disk no part of a line is left, which readers would take for the next line's beginning."""
    path = tmp_path / "watch.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with files.append(path) as file:
        files.append_line(file, '{"t_ns": 1}')
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
        try:
            with pytest.raises(InputError, match=re.escape(f"{path}: cannot be written (File too large)")):
                files.append_line(file, '{"t_ns": 2}')
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        files.append_line(file, '{"t_ns": 3}')
    assert path.read_text() == '{"t_ns": 1}\n{"t_ns": 3}\n'


def test_what_is_removed_need_not_be_there(tmp_path: Path) -> None:
    """A link goes and its target stays; a folder is not removed."""
    target, link = tmp_path / "target", tmp_path / "link"
    target.touch()
    link.symlink_to(target)
    files.remove(link)
    files.remove(link)
    assert target.exists() and not link.is_symlink()
    with pytest.raises(InputError, match="cannot be removed"):
        files.remove(tmp_path)
