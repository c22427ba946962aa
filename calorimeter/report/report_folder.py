"""The folder of a report: it replaces what a report made, and nothing else.

A report lists its files with their digests in `manifest.json`. A folder is replaced only if it holds the
files that its manifest names, as they were made. Anything else in it is somebody's own.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, cast

from calorimeter.core import files
from calorimeter.core.errors import InputError

MANIFEST = "manifest.json"
SCHEMA = 1

_OF_A_REPORT = re.compile(
    r"index\.html|report\.md|(summary|capacity|scale)\.json|figures/[\w.-]+\.(svg|png)|tables/[\w.-]+\.csv",
    re.ASCII,
)
_SCRATCH = re.compile(r"\.calorimeter-report-(\d+)-\w+", re.ASCII)
"""Where a report is made beside its place, with the process that makes it."""

_REMEDY = "move it away, or give another folder with --output"


def complete(made: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files of a report with the manifest that lists them; the same bytes for the same files."""
    return {**made, MANIFEST: _rendered({name: _digest(content) for name, content in made.items()})}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _rendered(digests: Mapping[str, str]) -> bytes:
    tree = {"schema_version": SCHEMA, "made_by": "calorimeter report", "sha256": digests}
    return json.dumps(tree, indent=2, sort_keys=True).encode() + b"\n"


def write(made: Mapping[str, bytes], folder: Path) -> Path | None:
    """Write a report's files and manifest; a reader sees the old report or the new one, never a part.

    Two processes that write the same report do not mix their files: the later report stays. Returns the
    folder beside it in which an earlier report without a manifest is kept, or None. Raises as
    `refuse_foreign`, and InputError if the folder cannot be written.
    """
    refuse_foreign(folder)
    files.make_folder(folder.parent, mode=0o755)
    try:
        _sweep(folder.parent)
        scratch = Path(tempfile.mkdtemp(prefix=f".calorimeter-report-{os.getpid()}-", dir=folder.parent))
        try:
            new = scratch / "new"
            of_folders, of_files = (0o700, 0o600) if _is_inside_a_run(folder) else (0o755, 0o644)
            for name, content in sorted(complete(made).items(), key=lambda file: file[0] != MANIFEST):
                files.make_folder((new / name).parent, mode=of_folders)
                files.write(new / name, content, mode=of_files)
            old = _put(new, folder)
            return None if old is None or _remove(old) else _keep(old, folder)
        finally:
            _remove(scratch / "new")
            with suppress(OSError):
                scratch.rmdir()
    except OSError as problem:
        raise InputError(str(folder), f"cannot be written ({problem.strerror})") from problem


def refuse_foreign(folder: Path) -> None:
    """Raise InputError if a report may not be written at a path: it would replace what no report made."""
    try:
        given = _foreign(folder)
    except OSError as problem:
        raise InputError(str(folder), f"cannot be read ({problem.strerror})") from problem
    if given is not None:
        raise InputError(str(folder), given, _REMEDY)


def _foreign(folder: Path) -> str | None:
    """Why a folder must not be replaced, or None."""
    if folder.is_symlink() or not folder.is_dir():
        is_free = not os.path.lexists(folder)
        return (
            None if is_free else f"is a {'symbolic link' if folder.is_symlink() else 'file'}, not a folder"
        )
    if Path.cwd().is_relative_to(os.path.realpath(folder)):
        return "is the current folder, or one above it"
    if (folder / "run.json").exists():
        return "is the folder of a run, not a report"
    return _not_made(folder, _manifest(folder))


def _not_made(folder: Path, digests: Mapping[str, str] | None) -> str | None:
    """What a folder holds that is not as a report made it, or None."""
    if digests is None and not _is_inside_a_run(folder):
        first = min(folder.iterdir(), default=None)
        return f"is not a report: it has no manifest, and holds {first.name}" if first else None
    for name in _entries(folder):
        if not (_OF_A_REPORT.fullmatch(name) if digests is None else name in {*digests, MANIFEST}):
            return f"holds {name}, which no report made"
        if digests is not None and not _as_made(folder, name, digests):
            return f"holds {name}, which was changed after the report was made"
    return None


def _is_inside_a_run(folder: Path) -> bool:
    """Whether a folder is RUN/report, where versions before the manifest wrote, and nobody else."""
    kept = ("run.json", "scale.json", "capacity.json")
    return folder.name == "report" and any((folder.parent / name).is_file() for name in kept)


def _entries(folder: Path) -> Iterator[str]:
    """The files of a folder, links and whatever else; a folder in it counts if nothing is in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir() or not any(path.iterdir()):
            yield path.relative_to(folder).as_posix()


def _manifest(folder: Path) -> dict[str, str] | None:
    """The digests of a report's files by their names, or None without a manifest as a report writes it."""
    path = folder / MANIFEST
    with suppress(InputError, AttributeError, TypeError, ValueError):
        content = files.read(path, limit=2**20, within=folder)
        digests = json.loads(content)["sha256"]
        if content == _rendered(digests) and all(map(_OF_A_REPORT.fullmatch, digests)):
            return dict(digests)
    return None


def _as_made(folder: Path, name: str, digests: Mapping[str, str]) -> bool:
    """Whether a file is the one that a manifest names."""
    path = folder / name
    if name == MANIFEST or path.is_symlink():
        return name == MANIFEST and not path.is_symlink()
    with suppress(InputError), files.open_to_read(path, within=folder) as file:
        return hashlib.file_digest(cast("Any", file), "sha256").hexdigest() == digests[name]
    return False


def _put(new: Path, folder: Path) -> Path | None:
    """Put a folder at its place; where the one before it is now, or None if there was none."""
    if not folder.exists():
        with suppress(FileExistsError):
            new.rename(folder)
            return None
    if _exchange(new, folder):
        return new
    aside = _beside(folder)  # a kill before the next line leaves the old report there, whole
    folder.rename(aside)
    new.rename(folder)
    return aside


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the kernel or the file system cannot."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2
    first, second = os.fsencode(one.absolute()), os.fsencode(other.absolute())
    return call is not None and call(here, first, here, second, exchange) == 0


def _remove(folder: Path) -> bool:
    """Delete what a folder's manifest names, as it was made; whether nothing is left of the folder."""
    if not folder.is_dir():
        return True
    digests = _manifest(folder)
    for name in list(_entries(folder)):
        if digests is not None and name in digests and _as_made(folder, name, digests):
            (folder / name).unlink()
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):  # something is left in it
            path.rmdir()
    if digests is not None and list(_entries(folder)) == [MANIFEST]:
        (folder / MANIFEST).unlink()
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _keep(old: Path, folder: Path) -> Path:
    kept = _beside(folder)
    if old.parent != folder.parent:
        old.rename(kept)
        return kept
    return old


def _beside(folder: Path) -> Path:
    """A name beside a folder that is free."""
    names = (f"{folder.name}.old{'' if number == 1 else f'-{number}'}" for number in count(1))
    return next(path for path in map(folder.with_name, names) if not os.path.lexists(path))


def _sweep(parent: Path) -> None:
    """Remove what killed processes left of reports that they were making in a folder."""
    for path in parent.iterdir():
        found = _SCRATCH.fullmatch(path.name)
        if found is None or path.is_symlink() or Path(f"/proc/{found[1]}").exists():
            continue
        for partial in path.glob("new/**/.*.partial"):
            partial.unlink()
        _remove(path / "new")
        with suppress(OSError):
            path.rmdir()
