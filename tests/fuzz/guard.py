"""What a case may do: change files of its own folder, and nothing that another process would notice."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import stat
import sys
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

GUARDED = 99
"""The exit status of a case that was ended because it began to do more than it may."""

PROGRAMS = ("haproxy", "git")
"""Programs that a case may start: they read files and end."""

MOST_PROGRAMS = 8
DESCRIPTORS = 128
MORE_MEMORY = 2**30
FILE_BYTES = 64 * 2**20
_NEW_NETWORK = 0x40000000

_STARTS = {
    "subprocess.Popen",
    "os.posix_spawn",
    "os.exec",
    "os.system",
    "os.fork",
    "os.forkpty",
    "pty.spawn",
}
_PATHS: dict[str, tuple[tuple[int, int | None], ...]] = {
    # Event → for each path that changes: where it is among the arguments, and where its `dir_fd` is.
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((1, 3),),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.mkdir": ((0, 2),),
    "os.chmod": ((0, 2),),
    "os.chown": ((0, 3),),
    "os.truncate": ((0, None),),
    "os.utime": ((0, 3),),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def limit(cpu_s: int) -> None:
    """Bound the descriptors, memory, processor time and file sizes of this process and its children."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    for what, most in (
        (resource.RLIMIT_NOFILE, DESCRIPTORS),
        (resource.RLIMIT_AS, size + MORE_MEMORY),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, cpu_s),
    ):
        resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def obey_modes() -> None:
    """Drop root's capabilities to read and write what modes forbid."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the lower and then the upper 32
    libc = ctypes.CDLL(None)
    libc.capget(header, sets)
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    libc.capset(header, sets)


def leave_network() -> None:
    """Enter a network without a way out, where that is allowed; the hook of `watch` holds everywhere."""
    ctypes.CDLL(None).unshare(_NEW_NETWORK)


def watch(folder: Path, note: Callable[[str], None]) -> None:
    """End this process before it starts a program, and refuse changes outside `folder` and connections.

    `note` gets `guarded: …` or `outside: …`.
    """
    started = 0
    busy = False

    def ended(why: str) -> None:
        note(f"guarded: {why}")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(GUARDED)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal started, busy
        if busy:
            return
        if event == "open":
            path, _, flags = args
            if isinstance(path, (str, bytes)) and flags & _WRITES and not _special(path):
                refuse_outside("open", path, -1)
        elif event in _PATHS:
            for at, folder_at in _PATHS[event]:
                refuse_outside(event, args[at], args[folder_at] if folder_at is not None else -1)
        elif event in _STARTS:
            started += 1
            program = Path(os.fsdecode(args[0] if args and args[0] else args[1][0])).name if args else event
            if program not in PROGRAMS or started > MOST_PROGRAMS:
                ended(f"starts {program}")
        elif event == "os.kill" and args[1] and args[0] != os.getpid():
            ended("sends a signal")
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            if event == "socket.connect" or args[1] is not None:
                raise ConnectionRefusedError(111, "Connection refused")
        elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
            _only_numbers(args[0])

    def refuse_outside(event: str, path: Any, folder_of: int) -> None:
        nonlocal busy
        if isinstance(path, int):
            return
        busy = True
        try:
            name = os.fsdecode(path)
            start = Path(f"/proc/self/fd/{folder_of}").readlink() if folder_of >= 0 else Path.cwd()
            inside = Path(os.path.realpath((start / name).parent)).is_relative_to(folder)
        except (OSError, ValueError):
            return
        finally:
            busy = False
        if not inside:
            note(f"outside: {event} {name}")
            raise PermissionError(13, "Permission denied", name)

    sys.addaudithook(hook)


def _special(path: str | bytes) -> bool:
    """Whether it is a device, pipe or socket, which is written to, not changed."""
    try:
        return not stat.S_ISREG(Path(os.fsdecode(path)).stat().st_mode)
    except (OSError, ValueError):
        return False


def _only_numbers(host: Any) -> None:
    try:
        ip_address(os.fsdecode(host or "127.0.0.1"))
    except ValueError:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None
