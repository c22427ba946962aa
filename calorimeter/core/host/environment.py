"""The machine and the software of a run, recorded automatically."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from calorimeter import __version__
from calorimeter.core import files
from calorimeter.core.errors import InputError

_LIBRARIES = ("locust", "gevent", "httptools", "pika", "pyarrow", "pandas", "matplotlib")


def capture() -> dict[str, Any]:
    """Versions, processor, memory and git revision; None for what cannot be determined."""
    return {
        "calorimeter": __version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "system": _os_name(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpu": _proc("/proc/cpuinfo", "model name"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": _memory_bytes(),
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The git revision of this clone, with `-dirty` if files differ from it."""
    here = Path(__file__).resolve().parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _proc(file: str, key: str) -> str | None:
    try:
        for line in files.read_text(Path(file)).splitlines():
            name, _, value = line.partition(":")
            if name.strip() == key:
                return value.strip()
    except InputError:
        pass
    return None


def _memory_bytes() -> int | None:
    total = _proc("/proc/meminfo", "MemTotal")
    return int(total.split()[0]) * 1024 if total else None
