"""What runs while misfortune strikes in `bin/soak healing`: gates, loads, traces, and what is around."""

from __future__ import annotations

import ctypes
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from calorimeter.core import files
from calorimeter.core.host import environment_marks

MARK = "CALORIMETER_SOAK"
OUTPUT = "output.txt"
DISK_MB = 48

SCENARIO = """\
name = "strike"
about = "A load that is struck by misfortune."
seed = 1
users = 6
spawn_per_s = 20
duration_s = {duration}
think_s = [0.05, 0.2]
poll_s = 0.3
clean_up_s = 10

[tenants]
count = 2

[rest]
users = 1
template = "tiny.yaml"
stacks_per_user = 2

[rest.mix]
list = 4
show = 2
create = 3
delete = 2
"""


class Disk:
    """Folders on small file systems of their own, in a mount namespace that ends with this process."""

    def __init__(self, *folders: Path, small: bool) -> None:
        self._ballast: list[Path] = []
        self._folders = folders
        self._mounted: list[Path] = []
        for folder in folders:
            files.make_folder(folder)
        if small:
            self._mount()

    def _mount(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(0x00020000) != 0:  # CLONE_NEWNS
            raise OSError(ctypes.get_errno(), "no mount namespace")
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        for folder in self._folders:
            options = f"size={DISK_MB}m,mode=0700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "calorimeter-soak", folder], check=True)
            self._mounted.append(folder)

    def close(self) -> None:
        """Unmount them."""
        for folder in self._mounted:
            subprocess.run(["umount", "--lazy", folder], check=False)

    def fill(self) -> None:
        """Take the last byte of each."""
        for folder in self._folders:
            path = folder / f".ballast-{secrets.token_hex(4)}"
            self._ballast.append(path)
            with suppress(OSError), path.open("wb", buffering=0) as file:
                for size in (2**20, 4096, 1):
                    with suppress(OSError):
                        while file.write(b"\0" * size) == size:
                            pass

    def free(self) -> None:
        """Give the bytes back."""
        for path in self._ballast:
            path.unlink(missing_ok=True)
        self._ballast.clear()


class SteppedClock:
    """A wall clock that steps for the processes that were started with `environment` (stepped_clock.c)."""

    def __init__(self, compiler: str, folder: Path) -> None:
        self._library = folder / "stepped_clock.so"
        self._file = folder / "stepped_clock.offset"
        source = Path(__file__).with_name("stepped_clock.c")
        argv = [compiler, "-O1", "-shared", "-fPIC", "-o", str(self._library), str(source), "-ldl"]
        subprocess.run(argv, check=True)
        self._file.write_bytes(bytes(8))

    def step(self, seconds: int) -> None:
        """Set the offset from the true time, of processes that run already, too."""
        with self._file.open("r+b", buffering=0) as file:  # in place: it is mapped
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the processes whose clock steps; the monotonic clock does not."""
        return {"LD_PRELOAD": str(self._library), "STEPPED_CLOCK": str(self._file)}


class MemoryGroup:
    """A control group (version 1) whose limit makes the kernel kill what is in it."""

    def __init__(self, parent: Path) -> None:
        self._folder = parent / f"calorimeter-soak-{os.getpid()}"
        self._folder.mkdir()

    def limit(self, pids: list[int]) -> None:
        """Let the processes take no page more: what they have is charged to the group they come from."""
        for pid in pids:
            with suppress(ProcessLookupError):
                (self._folder / "cgroup.procs").write_text(str(pid))
        used = int((self._folder / "memory.usage_in_bytes").read_text())
        with suppress(OSError):  # nothing may be left that could be taken back: it is at its limit
            (self._folder / "memory.limit_in_bytes").write_text(str(used + 4096))

    def lift(self) -> None:
        """Lift the limit: a part of the lab that was healed may live here."""
        (self._folder / "memory.limit_in_bytes").write_text("-1")

    def kills(self) -> int:
        """How many processes the kernel has killed in the group so far."""
        lines = (self._folder / "memory.oom_control").read_text().splitlines()
        return sum(int(line.removeprefix("oom_kill ")) for line in lines if line.startswith("oom_kill "))

    def close(self) -> None:
        """Remove the group; what is left in it goes to its parent."""
        with suppress(OSError):
            for pid in (self._folder / "cgroup.procs").read_text().split():
                (self._folder.parent / "cgroup.procs").write_text(pid)
        with suppress(OSError):
            self._folder.rmdir()


@dataclass(slots=True)
class Work:
    """Something that runs. All its processes have a mark in their environment."""

    process: subprocess.Popen[bytes]
    mark: str
    runs: Path
    disk: Disk
    clock: SteppedClock | None
    group: MemoryGroup | None
    namespace: str | None

    def processes(self) -> list[psutil.Process]:
        """Its living processes."""
        found = []
        for pid in environment_marks.marked(self.mark):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def role(self, process: psutil.Process) -> str:
        """What a process is: suite, load, worker, watch, guardian, or other."""
        words = process.cmdline()
        if process.pid == self.process.pid:
            return "suite"
        if any(word.endswith("_guardian") for word in words):
            return "guardian"
        if "watch" in words:
            return "watch"
        if _is_locust(words):
            parent = process.parent()
            return "worker" if parent is not None and _is_locust(parent.cmdline()) else "load"
        return "other"

    @property
    def has_begun(self) -> bool:
        """Whether it has written its first records."""
        return any(self.runs.glob("*/samples/*.parquet"))


def _is_locust(words: list[str]) -> bool:
    return any("locust" in word for word in words)


def command(work: str, deployment: Path, runs: Path, gates: tuple[str, ...], seconds: int) -> list[str]:
    """The command line of a kind of work."""
    calorimeter = [sys.executable, "-m", "calorimeter"]
    if work == "gates":
        return [*calorimeter, "verify", str(deployment), "--gates", ",".join(gates), "--runs", str(runs)]
    scenario = runs / "strike.toml"
    scenario.write_text(SCENARIO.format(duration=seconds))
    load = [*calorimeter, "run", str(scenario), "--deployment", str(deployment), "--runs", str(runs)]
    if work == "trace":
        return [*calorimeter, "trace", str(deployment), "--runs", str(runs), "--wait", "5", "--", *load]
    load += ["--yes-break-it", "--fault", "rest-*1:kill@1s+2s", "--fault", "engine-1:freeze@2s+2s"]
    return [*load, "--processes", "2"] if work == "two-processes" else load


@contextmanager
def started(argv: list[str], runs: Path, environment: dict[str, str], **around: object) -> Iterator[Work]:
    """Start work; whatever is left of it at the end is killed."""
    mark = f"{MARK}={secrets.token_hex(8)}"
    name, _, value = mark.partition("=")
    with (runs / OUTPUT).open("wb") as out:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            # Locust sets its title, which would overwrite the environment and the mark in it.
            env={**os.environ, **environment, name: value, "SPT_NOENV": "1"},
        )
        work = Work(process, mark, runs, **around)  # type: ignore[arg-type]
        try:
            yield work
        finally:
            environment_marks.kill(mark)
            process.wait()
