"""What this machine allows: processors, open files, local ports, memory, processes and disk space.

None stands for what has no limit, or cannot be determined.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.bounds import is_digits
from calorimeter.core.errors import InputError

PROC = Path("/proc")
WHOLE_MACHINE = "(this machine)"
"""The row of a lab's usage for the whole machine, including the load generator."""
SMALL = 65536
"""Bytes. The kernel refuses to read its settings into a large buffer."""
CGROUPS = Path("/sys/fs/cgroup")
_V1_FILES = {"memory.max": "memory.limit_in_bytes", "memory.current": "memory.usage_in_bytes"}


def processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def open_files() -> int | None:
    """The hard limit of open files of a process (`ulimit -Hn`)."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


def allow_open_files(wanted: int) -> None:
    """Raise this process's soft limit of open files to `wanted`, as far as the hard limit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def local_ports() -> int | None:
    """How many connections one source address can have to one address and port, in this namespace."""
    words = _text(PROC / "sys/net/ipv4/ip_local_port_range").split()
    return int(words[1]) - int(words[0]) + 1 if len(words) == 2 else None


def free_memory() -> int | None:
    """Bytes of memory that can still be used: of the machine, and of this process's control group."""
    found = _text(PROC / "meminfo").partition("MemAvailable:")[2].split()
    machine = [int(found[0]) * 1024] if found else []
    return min([*machine, *_left_in_groups("memory", "memory.max", "memory.current")], default=None)


def free_processes() -> int | None:
    """How many more processes may be started: by `ulimit -u` (not for root), and by the control group."""
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    left = list(_left_in_groups("pids", "pids.max", "pids.current"))
    if limit != resource.RLIM_INFINITY and os.getuid() != 0:
        left.append(max(0, limit - _own_processes()))
    return min(left, default=None)


def free_disk(folder: Path) -> int | None:
    """Bytes that are free on the disk of `folder`, or of the first folder above it that exists."""
    for place in (folder.absolute(), *folder.absolute().parents):
        with suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def _own_processes() -> int:
    count = 0
    for entry in PROC.iterdir():
        with suppress(OSError):
            count += is_digits(entry.name) and entry.stat().st_uid == os.getuid()
    return count


def _left_in_groups(controller: str, most: str, current: str) -> Iterator[int]:
    """What the control groups of this process leave of a resource, of the first or the second version."""
    for line in _text(PROC / "self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and controller not in controllers.split(","):
            continue
        root = CGROUPS / controller if controllers else CGROUPS
        here = root / path.lstrip("/")
        for folder in (here, *here.parents) if here.is_dir() else (root,):
            names = [_V1_FILES.get(name, name) if controllers else name for name in (most, current)]
            limit, used = (_text(folder / name).strip() for name in names)
            if is_digits(limit) and is_digits(used):
                yield max(0, int(limit) - int(used))
            if folder == root:
                break


def _text(path: Path) -> str:
    try:
        return files.read_text(path, limit=SMALL)
    except InputError:
        return ""
