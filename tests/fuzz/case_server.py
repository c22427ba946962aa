"""`python -m tests.fuzz.case_server`: a warm process that runs each case in a fork of its own, in limits.

Pickled cases come on standard input; for each, a pickled `Ended` goes to standard output.
"""

from __future__ import annotations

import ctypes
import gc
import os
import pickle
import select
import shutil
import signal
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path
from random import Random
from typing import IO, Any

from matplotlib.figure import Figure

from calorimeter import cli
from calorimeter.report.figures import style
from tests.fuzz import guard, readers, special_files
from tests.fuzz import run_folders as run_folders_to_break
from tests.fuzz.case import READER, Case, Ended

STILL_S = 20.0
"""Seconds without processor time until a case is killed: a busy machine delays it, but does not stop it."""

_SUBREAPER = 36
_MEMORY = "/dev/shm"  # folders come and go quickly there
_LARGEST_SCANNED = 8 * 2**20
WARM = (
    "calorimeter.report.page",
    "calorimeter.report.page_content",
    "calorimeter.report.comparison_page",
    "calorimeter.config.audit",
    "calorimeter.config.describe.described_files",
    "calorimeter.config.generate.generated_folder",
    "calorimeter.export.histogram_log",
    "calorimeter.export.http_archive",
    "calorimeter.export.json_lines",
    "calorimeter.export.junit_xml",
    "calorimeter.export.otlp_spans",
    "calorimeter.export.request_metrics",
    "calorimeter.export.sarif_log",
    "calorimeter.gates.doctor",
    "calorimeter.gates.judge",
    "calorimeter.gates.request_path.follow",
    "calorimeter.load.run.ledger_balance",
    "calorimeter.load.run.cleanup",
    "calorimeter.lab.bring_up",
    "calorimeter.lab.status",
    "calorimeter.studies.scale_study",
    "calorimeter.studies.capacity_search",
)


def serve(given: IO[bytes], answers: IO[bytes]) -> None:
    """Run cases until there are no more."""
    for where, _, _ in cli.COMMANDS.values():
        import_module(where.partition(":")[0])
    for name in WARM:
        import_module(name)
    draw_wide_figures_only()
    ctypes.CDLL(None).prctl(_SUBREAPER, 1)  # what a case leaves behind comes to this process
    guard.leave_network()
    gc.collect()
    gc.freeze()
    run_folders = Path(os.environ["CALORIMETER_FUZZ_RUNS"])
    while True:
        try:
            case = pickle.load(given)
        except EOFError:
            return
        pickle.dump(run(case, run_folders), answers)
        answers.flush()


def draw_wide_figures_only() -> None:
    """Leave out the narrow form and the PNG of a figure: the same data, in half of the time."""
    drawn = Figure.savefig

    def savefig(figure: Figure, target: IO[Any], **how: Any) -> None:
        if how["format"] == "png":
            target.write(b"")
        elif figure.get_figwidth() < style.WIDE.width_in:
            target.write("<svg/>")
        else:
            drawn(figure, target, **how)

    Figure.savefig = savefig  # type: ignore[method-assign, assignment]


def run(case: Case, run_folders: Path) -> Ended:
    """Run one case in an own folder, which is removed."""
    folder = Path(
        os.path.realpath(
            tempfile.mkdtemp(prefix="calorimeter-fuzz-", dir=_MEMORY if Path(_MEMORY).is_dir() else None)
        )
    )
    try:
        for name in ("home", "tmp", "work"):
            (folder / name).mkdir()
        place(case, folder / "work", run_folders)
        before = _contents(folder)
        return _ended(case, folder, before)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(case: Case, work: Path, run_folders: Path) -> None:
    """Write the files of a case into a folder."""
    if case.run:
        shutil.copytree(run_folders / case.run, work / "run")
        for number in case.damages:
            run_folders_to_break.damage(work / "run", Random(number))
    for name, content in case.files.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if name.endswith(".secrets.toml"):
            path.chmod(0o600)
    for name, kind in case.special.items():
        special_files.make(work / name, kind)


def _ended(case: Case, folder: Path, before: dict[str, int]) -> Ended:
    out, err, notes = (folder / name for name in (".out", ".err", ".notes"))
    child = os.fork()
    if child == 0:
        _become(case, folder)
    in_time = _await(child)
    if not in_time:
        os.killpg(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    left = _reap(child)
    said = notes.read_text("utf-8", "replace").splitlines() if notes.exists() else []
    guarded = next((line[9:] for line in said if line.startswith("guarded: ")), "")
    shown = {"stdout": out.read_bytes(), "stderr": err.read_bytes()}
    return Ended(
        status=os.waitstatus_to_exitcode(status) if in_time else None,
        out=shown["stdout"][:_LARGEST_SCANNED],
        err=shown["stderr"][:_LARGEST_SCANNED],
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        guarded=guarded,
        outside=tuple(line[9:] for line in said if line.startswith("outside: ")),
        left=left,
        leaks=tuple(_leaks(case, shown, folder, before)),
    )


def _await(child: int) -> bool:
    """Wait for the end of a process; whether it ended, and did not just stand still."""
    pidfd = os.pidfd_open(child)
    before = -1
    try:
        while not select.select([pidfd], [], [], STILL_S)[0]:
            ticks = sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:15]))
            if ticks == before:
                return False
            before = ticks
    finally:
        os.close(pidfd)
    return True


def _become(case: Case, folder: Path) -> None:
    """Be the process of a case. Does not return."""
    status = 1
    try:
        os.setsid()
        for number, name in ((1, ".out"), (2, ".err")):
            os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.chdir(folder / "work")
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        os.environ.clear()
        os.environ.update(kept, HOME=f"{folder}/home", XDG_STATE_HOME=f"{folder}/home/state")
        os.environ.update(TMPDIR=f"{folder}/tmp", MPLCONFIGDIR=f"{folder}/home", TERM="dumb", COLUMNS="120")
        tempfile.tempdir = None
        notes = os.open(folder / ".notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if special_files.UNREADABLE in case.special.values():
            guard.obey_modes()
        guard.limit(case.most_cpu_s)
        guard.watch(folder, lambda line: os.write(notes, f"{line}\n".encode("utf-8", "replace")) and None)
        status = _call(case)
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                status = 1
        os._exit(status)


def _call(case: Case) -> int:
    sys.argv = ["calorimeter", *case.words]
    try:
        if case.words[0].startswith(READER):
            return readers.call(case.words[0].removeprefix(READER))
        cli.main()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(bool(ending.code))
    return 0


def _reap(group: int) -> int:
    """End what a case left behind; how many processes that were."""
    left = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return left
        if pid == 0:
            left += 1
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            for each in children:
                os.kill(int(each), signal.SIGKILL)
            for each in children:
                os.waitpid(int(each), 0)


def _contents(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _leaks(case: Case, shown: dict[str, bytes], folder: Path, before: dict[str, int]) -> list[str]:
    """Where a secret is shown: in the output, and in files that the case wrote, but those of secrets."""
    if not case.secrets:
        return []
    texts = dict(shown)
    for path, changed in _contents(folder).items():
        name = Path(path).name
        if before.get(path) != changed and not name.startswith(".") and not name.endswith(".secrets.toml"):
            texts[path.removeprefix(f"{folder}/")] = Path(path).read_bytes()[:_LARGEST_SCANNED]
    secrets = [secret.encode() for secret in case.secrets]
    return [name for name, text in texts.items() if any(secret in text for secret in secrets)]


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
