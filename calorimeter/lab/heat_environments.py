"""Environments of Heat's later releases: made on first use, once for all labs, from `locks/heat-25.txt` ….

Heat 24 is in `.venv-heat` (`bin/setup`), with Keystone and the `openstack` client.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.lab import shared_cache
from calorimeter.lab.lab_topology import Release

WITH_KEYSTONE: Release = "24"
"""The release whose environment holds Keystone and the clients; `bin/setup` makes it."""

CLONE = Path(__file__).resolve().parents[2]

WAIT_S = 900.0
"""Limit for making one; 5 to 20 s were measured with the packages in uv's cache."""

_STAMP = "complete"
"""Written last: an environment cannot be moved, so that one that was not finished is where it would be."""


def version(release: Release) -> str:
    """The locked version of a release, such as `27.0.1`. Raises `InputError` outside a clone."""
    match = re.search(r"^openstack-heat==(\S+)", files.read_text(_lock(release)), re.MULTILINE)
    assert match is not None
    return match[1]


def folder(release: Release) -> Path:
    """Where the environment of a release after 24 is, or will be: by its lock and Python's version."""
    text = f"{files.read_text(_lock(release))} {sys.version_info[:2]}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    return shared_cache.folder() / f"heat-{version(release)}-{digest}"


def is_ready(release: Release) -> bool:
    """Whether the environment of a release after 24 is complete."""
    path = folder(release)
    return (path / _STAMP).exists() and (path / "bin" / "python").exists()


def made(release: Release) -> Path:
    """The environment of a release after 24. Raises `InputError` if it is missing."""
    if not is_ready(release):
        raise InputError(
            f"Heat {version(release)}",
            f"its environment is missing: {folder(release)}",
            f"`calorimeter lab up --heat {release}` makes it",
        )
    return folder(release)


def make_missing(releases: Iterable[Release], say: Callable[[str], None]) -> None:
    """Make the environments that are missing. Raises `InputError` if one cannot be made."""
    for release in sorted({*releases} - {WITH_KEYSTONE}):
        if not is_ready(release):
            with shared_cache.only_one(f"heat-{release}", WAIT_S) as lock:
                if not is_ready(release):
                    say(f"making Heat {version(release)}'s environment, once for all labs")
                    _make(release, lock.fileno())


def _make(release: Release, lock: int) -> None:
    path, uv = folder(release), _uv()
    shutil.rmtree(path, ignore_errors=True)
    _run(release, [uv, "venv", "-q", "--python", sys.executable, str(path)], lock)
    python = str(path / "bin" / "python")
    # Bytecode is written where it is first imported: most modules of the packages never are.
    _run(
        release,
        [uv, "pip", "sync", "-q", "--python", python, "--require-hashes", str(_lock(release))],
        lock,
    )
    files.write(path / _STAMP, f"{version(release)}\n")


def _run(release: Release, argv: list[str], lock: int) -> None:
    """Run uv, which holds the lock with us: it may outlive us for a moment."""
    environment = {
        k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    }
    try:
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=environment,
            pass_fds=(lock,),
            timeout=WAIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise _failed(release, f"uv took over {WAIT_S:g} s") from problem
    if done.returncode != 0:
        raise _failed(release, _reason(done.stderr))


def _reason(said: str) -> str:
    """The error and its last cause from what uv said."""
    lines = [
        line.strip() for line in said.splitlines() if re.match(r"\s*(error|cause):", line, re.IGNORECASE)
    ]
    return " … ".join(dict.fromkeys((lines[0], lines[-1]))) if lines else said[-200:]


def _failed(release: Release, why: str) -> InputError:
    return InputError(
        f"Heat {version(release)}",
        f"its environment cannot be made: {why}",
        "it needs the Python package index once ($UV_DEFAULT_INDEX, $HTTPS_PROXY): repeat the command then",
    )


def _lock(release: Release) -> Path:
    name = "heat.txt" if release == WITH_KEYSTONE else f"heat-{release}.txt"
    return CLONE / "locks" / name


def _uv() -> str:
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise InputError("lab", "missing uv, which makes Heat's environment", "run bin/setup")
    return found
