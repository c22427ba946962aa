"""The one way to write a file and the one way to read one.

A file is written whole or not at all, and has its final mode from the first byte on. Reading is bounded,
and never waits for a pipe or a device that nobody asked for. All errors are an `InputError` of one line.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from calorimeter.core import json_text
from calorimeter.core.errors import InputError

PRIVATE = 0o600
LIMIT = 64 * 2**20
"""Bytes of a file that is read whole, unless the reader names another limit."""
LINE_LIMIT = 8 * 2**20
"""Bytes of a line of a file that is read line by line."""
DEEPEST = 100
"""Levels of a JSON value: no file of the suite has more than twenty."""

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}
_DESCRIPTOR = re.compile(r"/dev/(?:stdin|fd/\d+)|/proc/self/fd/\d+", re.ASCII)
"""Paths of what the user's shell has opened already: a pipe or a terminal that was asked for."""


class MissingFileError(InputError):
    """There is no such file."""


# Writing


def write(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Replace a file atomically: readers see the old content or the new one, never a part.

    A file that exists keeps its owner, and its mode unless `mode` is PRIVATE. Content for a device or a
    pipe is written to it. Raises InputError if the file cannot be written, or if `path` is a folder, a pipe
    that nobody reads, or a symbolic link that leads out of its own folder.
    """
    data = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
    write_parts(path, (data,), mode=mode)


def write_parts(path: Path, parts: Iterable[bytes], *, mode: int = 0o644) -> None:
    """`write` of a content that comes in parts and need not fit into memory.

    What raises while a part is made leaves the old content.
    """
    with _as_input_errors(path, "written"):
        _write(path, parts, mode)


def _write(path: Path, parts: Iterable[bytes], mode: int) -> None:
    there = path.stat() if path.exists() else None
    if there is not None and stat.S_ISDIR(there.st_mode):
        raise InputError(str(path), "is a folder", "valid: the path of a file")
    if there is not None and not stat.S_ISREG(there.st_mode):
        # Never replaced: others use it. A pipe that nobody reads is an error, not a wait without end.
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        with os.fdopen(descriptor, "wb") as device:
            device.writelines(parts)
        return
    target = Path(os.path.realpath(path))
    if target.parent != Path(os.path.realpath(path.absolute().parent)):
        raise InputError(str(path), f"is a symbolic link to {target}", "valid: the path of the file itself")
    # Mode 0600 first: others must not read passwords in the moment before fchmod.
    descriptor, partial = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if there is not None:
                if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                mode = mode if mode == PRIVATE else stat.S_IMODE(there.st_mode)
            os.fchmod(file.fileno(), mode)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        Path(partial).replace(target)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def create(path: Path) -> BinaryIO:
    """A new file, for its owner only, that grows while it is written (samples, logs), opened to write.

    Raises InputError if anything has this name already, or if the file cannot be written.
    """
    with _as_input_errors(path, "written"):
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return _owned(os.open(path, flags, PRIVATE))


def append(path: Path) -> BinaryIO:
    """A file, for its owner only if it is new, opened without a buffer to write at its end.

    Raises InputError if it is no regular file, is a symbolic link, or cannot be written.
    """
    with _as_input_errors(path, "written"):
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            return _owned(os.open(path, flags | os.O_CREAT | os.O_EXCL, PRIVATE))
        except FileExistsError:
            descriptor = os.open(path, flags)
            _refuse_special(path, descriptor)
            return os.fdopen(descriptor, "wb", buffering=0)


def append_line(file: BinaryIO, line: str) -> None:
    """Add a line to a file that `append` opened: the whole line or, on a full disk, none of it.

    Raises InputError.
    """
    data = f"{line}\n".encode("utf-8", "surrogateescape")
    end = os.fstat(file.fileno()).st_size
    with _as_input_errors(Path(os.readlink(f"/proc/self/fd/{file.fileno()}")), "written"):  # noqa: PTH115
        written = 0
        try:
            while written < len(data):
                written += file.write(data[written:])
        except OSError:
            if written:  # readers would take the next line for its rest
                file.truncate(end)
            raise


def write_all(file: BinaryIO, content: bytes | memoryview) -> None:
    """Write all of it to a file without a buffer, which may take less at once. Raises OSError."""
    rest = memoryview(content)
    while rest:
        rest = rest[file.write(rest) :]


def _owned(descriptor: int) -> BinaryIO:
    os.fchmod(descriptor, PRIVATE)  # the umask may have taken the owner's rights
    return os.fdopen(descriptor, "wb", buffering=0)


def remove(path: Path) -> None:
    """Remove a file, or a symbolic link itself, if it is there. Raises InputError."""
    with _as_input_errors(path, "removed"):
        path.unlink(missing_ok=True)


def make_folder(path: Path, *, mode: int = 0o700, new: bool = False) -> Path:
    """Make a folder and those above it with this mode, whatever the umask; returns `path`.

    A folder that exists stays as it is. Raises InputError if it cannot be made, or if it must be `new` and
    exists.
    """
    with _as_input_errors(path, "made"):
        if new and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                folder.mkdir(exist_ok=not new or folder != path)
                folder.chmod(mode)
    return path


# Reading


def read(path: Path, *, limit: int = LIMIT, within: Path | None = None) -> bytes:
    """The content of a regular file of at most `limit` bytes, or of a descriptor such as /dev/stdin.

    `within` is a folder: a symbolic link that leads out of it is refused. Raises InputError if the file is
    larger, cannot be read or is a folder, device, pipe or socket; MissingFileError if there is none.
    """
    with open_to_read(path, within=within) as file, _as_input_errors(path, "read"):
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(str(path), "is too large to be read", f"valid: {limit / 2**20:g} MiB or less")
    return content


def read_text(path: Path, *, errors: str = "strict", limit: int = LIMIT, within: Path | None = None) -> str:
    """The text of a file, with the line ends that it has. Raises as `read`, and if it is not UTF-8."""
    content = read(path, limit=limit, within=within)
    try:
        return content.decode("utf-8", errors)
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        given = f"is not UTF-8 text: byte 0x{content[problem.start]:02x} in line {line}"
        raise InputError(str(path), given, "valid: a text file in UTF-8") from problem


def read_json(path: Path, *, limit: int = LIMIT, within: Path | None = None) -> Any:
    """The JSON value of a file. Raises as `read_text`, and as `parse_json`."""
    return parse_json(read_text(path, limit=limit, within=within), str(path))


def parse_json(text: str | bytes, where: str) -> Any:
    """A JSON value that the rest of the suite can use without doubts of its own.

    Raises InputError if the text is not JSON, is nested more than `DEEPEST` deep, or holds a number that is
    not finite or has more than 64 bits, or half a character (a lone surrogate).
    """
    try:
        tree = json_text.parse(text, _of_64_bits)
        _refuse_depth(tree)
    except (ValueError, RecursionError) as problem:
        why = "nested too deeply" if isinstance(problem, RecursionError) else f"not JSON ({problem})"
        raise InputError(where, f"is damaged: {why:.120}") from problem
    return tree


def _refuse_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(DEEPEST):
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise RecursionError


def _of_64_bits(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= (value := int(text)) < 2**64:
        raise ValueError(f"{text:.20}… has more than 64 bits")
    return value


def read_lines(path: Path, *, within: Path | None = None) -> Iterator[bytes]:
    """The lines of a file without their ends, one at a time. Raises as `read`, and for a line too long."""
    with open_to_read(path, within=within) as file, _as_input_errors(path, "read"):
        while line := file.readline(LINE_LIMIT + 1):
            if len(line) > LINE_LIMIT:
                raise InputError(str(path), "has a line that is too long", f"valid: {LINE_LIMIT} bytes")
            yield line.rstrip(b"\r\n")


def open_to_read(path: Path, *, within: Path | None = None) -> BinaryIO:
    """A regular file, or a descriptor such as /dev/stdin, opened to read. Raises as `read`."""
    with _as_input_errors(path, "read"):
        asked_for = within is None and _DESCRIPTOR.fullmatch(str(path))
        # Without O_NONBLOCK, opening a pipe that nobody writes to waits without end.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path if asked_for else _real(path, within), flags)
        if asked_for:
            os.set_blocking(descriptor, True)
        else:
            _refuse_special(path, descriptor)
            os.pread(descriptor, 1, 0)  # an error for /proc/kmsg, which calls itself regular, but waits
        return os.fdopen(descriptor, "rb")


def is_locked(path: Path) -> bool:
    """Whether another process holds a lock (flock) on a file. Raises as `open_to_read`."""
    with open_to_read(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def regular(path: Path, *, within: Path | None = None) -> Path:
    """The real path of a regular file, for a library that opens files itself. Raises as `read`."""
    open_to_read(path, within=within).close()
    return Path(os.path.realpath(path))


def is_file(path: Path) -> bool:
    """Whether there is a file; a path that is too long, or has a null character, names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _real(path: Path, within: Path | None) -> Path:
    real = Path(os.path.realpath(path))
    if within is not None and not real.is_relative_to(os.path.realpath(within)):
        raise InputError(str(path), f"is a symbolic link out of {within}", "valid: a file in that folder")
    return real


def _refuse_special(path: Path, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        kind = _KINDS.get(stat.S_IFMT(mode), "device")
        raise InputError(str(path), f"is a {kind}", "valid: the path of a regular file, or /dev/stdin")


@contextmanager
def _as_input_errors(path: Path, done: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as problem:
        raise MissingFileError(str(path), f"cannot be {done} ({problem.strerror})") from problem
    except OSError as problem:
        raise InputError(str(path), f"cannot be {done} ({problem.strerror or problem})") from problem
    except ValueError as problem:  # a null character in the path
        raise InputError(repr(str(path)), f"cannot be {done} ({problem})") from problem


# Files of secrets, and files that exist


def write_secrets(path: Path, secrets: Mapping[str, str]) -> None:
    """Write a TOML file of secrets that only its owner can read. Raises InputError."""
    lines = [f"{key} = {_string(value)}\n" for key, value in secrets.items()]
    write(path, "# Secrets of the deployment file beside it.\n" + "".join(lines), mode=PRIVATE)


def refuse_existing(*paths: Path, force: bool) -> None:
    """Raise InputError if a file exists and `force` does not allow to replace it."""
    for path in paths:
        if path.exists() and not force:
            raise InputError(str(path), "exists already", "give another path, or --force to replace it")


def refuse_other(path: Path, ours: re.Pattern[bytes], what: str) -> None:
    """Raise InputError if a file exists that is not what would replace it: `ours` is found in neither its
    beginning nor its end. `what` it would have to be is named. An empty file, a device or a pipe may be.
    """
    if not path.is_file() or not path.stat().st_size:
        return
    with open_to_read(path) as file:
        start = file.read(4096)
        file.seek(-min(4096, file.seek(0, os.SEEK_END)), os.SEEK_END)
        if not ours.search(start) and not ours.search(file.read(4096)):
            raise InputError(str(path), f"exists already, and is not {what}", "valid: another path")


def _string(text: str) -> str:
    # JSON strings are TOML strings, except that TOML escapes DEL.
    return json.dumps(text, ensure_ascii=True).replace("\x7f", "\\u007f")
