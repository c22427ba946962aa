"""Misfortune strikes the suite at random moments: nothing of it may be left, and runs stay readable.

Each round starts gates that break a lab, a load with faults (one process or two) or a trace of a load, and
strikes it at a random moment: the suite, Locust, a worker, a guardian, the watch, or all at once; by
SIGKILL, SIGTERM, SIGINT, SIGSTOP (then SIGCONT or SIGKILL), no descriptors, no memory (a limit, or the
kernel's kill), a full disk for runs and state, a stepped clock, a lost network namespace.
Then `calorimeter doctor` must exit as on the healthy lab and leave no journal, no nftables table, no
stopped or missing process, every server UP and tracing off; `report` and `balance` read every run, whose
samples end at most a second before the load was killed; `clean` leaves neither stacks nor projects nor
users in the databases of Heat and Keystone; and no process is left. At the end the lab goes without trace.

Rounds with a lost namespace use a second lab, the guide's sample. The machine's own clock is never set: the
suite's processes see one that steps. Misfortunes that are not possible here (no root, no compiler) are
named and left out. Prints one line per
round and the counts; exit status 1 if a round was unexpected. The same `--seed` repeats the same plans.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.faults.journal import Journal
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.lab import lab_state, part_faults, processes
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import Lab
from tests.soak import aftermath, forked, labs, misfortunes
from tests.soak.aftermath import Struck, open_faults
from tests.soak.forked import calorimeter
from tests.soak.misfortunes import Round
from tests.soak.struck_work import OUTPUT, Disk, MemoryGroup, SteppedClock, Work, command, started

NAME = f"healing-{os.getpid()}"
SAMPLE = ("--sample", "guide")
SHAPE = ("--rest", "2", "--cfn", "1", "--engines", "2")
GATES = ("H2", "H3", "H4", "H6", "H7", "H8")
LOAD_S = 6
GATES_S = 4.0
"""The longest that gates run on after they were struck; then they get SIGINT."""

FIRST_S = 120.0
ALONE_S = 20.0
"""The time for what is left of the work to end by itself, before `doctor` is asked to heal."""

GONE_S = 200.0
"""The longest that struck work may take: it heals, removes its stacks and ends its watch."""


@dataclass(frozen=True, slots=True)
class Around:
    """What surrounds all rounds."""

    lab: Lab
    runs: Path
    disk: Disk
    clock: SteppedClock | None
    group: MemoryGroup | None


class Laps:
    """Where the time of a round went."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()
        self._took: Counter[str] = Counter()

    def end(self, name: str) -> None:
        """A part of the round ends."""
        now = time.monotonic()
        self._took[name] += round(now - self._last)
        self._last = now

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds}" for name, seconds in self._took.items())
        return f"{self._last - self._began:5.1f} s ({parts})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a round; `timely` loads were checked for records up to the strike."""

    struck: Struck
    timely: int
    wrong: list[str]


def tried(around: Around, planned: Round, healthy: int) -> Outcome:
    """One round: whom it struck, and what was wrong afterwards."""
    runs = around.runs / secrets.token_hex(4)
    runs.mkdir(mode=0o700)
    argv = command(planned.work, around.lab.deployment, runs, planned.gates, LOAD_S)
    environment = around.clock.environment if planned.misfortune == "clock" and around.clock else {}
    namespace = aftermath.client_namespace(around.lab)
    what = {"disk": around.disk, "clock": around.clock, "group": around.group, "namespace": namespace}
    deployment = deployments.read(around.lab.deployment)
    journal = Journal.of(deployment)
    lap = Laps()
    with started(argv, runs, environment, **what) as work:
        struck = strike(work, planned, journal)
        lap.end("work")
        wrong = [struck.status] if struck.status.startswith("NOT") else []
        if not (struck.pids or struck.had_ended or planned.victim == "machine"):
            wrong.append("NOBODY STRUCK")
        if around.clock is not None:
            around.clock.step(0)
        aftermath.await_end(work, ALONE_S)
        lap.end("end")
        around.disk.free()
        if around.group is not None:
            around.group.lift()
        if planned.misfortune == "namespace":  # makes the client host again
            wrong += aftermath.problems(calorimeter("lab", "heal", "--name", around.lab.topology.name), {0})
        doctor = calorimeter("doctor", around.lab.deployment)
        lap.end("doctor")
        wrong += aftermath.of_the_processes(work)
        lap.end("end")
        wrong += [f"doctor: exit status {doctor.status}"] if doctor.status != healthy else []
        wrong += aftermath.of_the_lab(around.lab, journal)
        examined = aftermath.begin_examination(work, around.lab)
        wrong += aftermath.of_the_broker(deployment)
        lap.end("lab")
        wrong += [sentence for each in examined for sentence in each.wrong(around.lab)]
        killed = aftermath.loads_killed(work, planned, struck)
        for run in killed:
            wrong += aftermath.freshness(run, struck.at_ns)
        wrong += aftermath.of_the_output(work, planned)
        lap.end("runs")
    whom = "had ended" if struck.had_ended else f"{struck.pids} struck"
    how = f"{whom}, open: {struck.was_open}, status {struck.status}"
    how += f", {struck.kills} killed for memory" if struck.kills else ""
    how += ", records up to the strike" if killed and not wrong else ""
    print(f"{lap}  {planned}: {how}: {wrong or 'as expected'}", flush=True)
    if wrong:
        print(
            planned,
            (runs / OUTPUT).read_text("utf-8", "replace")[-6000:],
            doctor.stdout[-500:],
            doctor.stderr,
        )
    shutil.rmtree(runs)
    return Outcome(struck, len(killed), wrong)


def strike(work: Work, planned: Round, journal: Journal) -> Struck:
    """Wait for the round's moment, strike, and wait until the work has ended."""
    began = 0.0

    def has_begun() -> bool:
        broken = planned.work == "gates" and journal.path.exists()
        return broken or work.has_begun or work.process.poll() is not None

    if not planned.at_once:
        with suppress(DeadlineError):
            until(has_begun, FIRST_S, every_s=0.02)
        if not work.has_begun and work.process.poll() is not None and not journal.path.exists():
            return Struck(time.time_ns(), 0, "nothing", f"NOT BEGUN: {work.process.returncode}", 0.0)
        began = time.monotonic()
    with suppress(subprocess.TimeoutExpired):
        work.process.wait(planned.moment_s)
    victims: list[psutil.Process] = []

    def found() -> bool:
        nonlocal victims
        victims = misfortunes.victims(work, planned)
        return bool(victims) or planned.victim == "machine" or work.process.poll() is not None

    with suppress(DeadlineError):
        until(found, FIRST_S, every_s=0.02)
    had_ended = work.process.poll() is not None and not victims
    kills = work.group.kills() if work.group else 0
    was_open = open_faults(journal)
    at_ns = time.time_ns()
    begun_s = time.monotonic() - began if began else 0.0
    misfortunes.STRIKES[planned.misfortune](work, victims, planned)
    if planned.work == "gates":  # they would take a minute to their end
        with suppress(subprocess.TimeoutExpired):
            work.process.wait(GATES_S)
        work.process.send_signal(signal.SIGINT)
    try:
        status = str(work.process.wait(GONE_S))
    except subprocess.TimeoutExpired:
        status = f"NOT GONE after {GONE_S:g} s"
        work.process.kill()
    kills = work.group.kills() - kills if work.group else 0
    return Struck(at_ns, len(victims), was_open, status, begun_s, had_ended, kills)


@dataclass(slots=True)
class Counts:
    """What became of the rounds, by misfortune; `left` is what labs left behind."""

    done: Counter[str] = field(default_factory=Counter)
    of: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    problems: Counter[str] = field(default_factory=Counter)
    left: list[str] = field(default_factory=list)

    def add(self, planned: Round, outcome: Outcome) -> None:
        """Count a round."""
        struck = outcome.struck
        self.done[planned.misfortune] += 1
        self.of[planned.misfortune].update(
            {
                "struck": int(not struck.had_ended),
                "had ended": int(struck.had_ended),
                "something was open": int(struck.was_open != "nothing"),
                "the kernel killed": int(struck.kills > 0),
                "records checked up to the strike": int(outcome.timely > 0),
                "unexpected": int(bool(outcome.wrong)),
            }
        )
        self.problems.update(f"{planned}: {problem[:160]}" for problem in outcome.wrong)

    def show(self) -> int:
        """Print the summary; the exit status."""
        total, of_all = self.done.total(), sum(self.of.values(), Counter[str]())
        for what, times in [*sorted(self.done.items()), ("all", total)]:
            counted = of_all if what == "all" else self.of[what]
            parts = [f"{number} {name}" for name, number in counted.items() if number]
            print(f"{what:<18} {times:4} rounds: {', '.join(parts)}")
        for problem, times in self.problems.most_common():
            print(f"  {times} × {problem}")
        print(f"the labs left: {', '.join(self.left) or 'nothing'}")
        print(f"{total - of_all['unexpected']} of {total} rounds as expected", flush=True)
        return 1 if of_all["unexpected"] or self.left else 0


def rounds(around: Around, planned: list[Round], counts: Counts) -> None:
    """Run the rounds and count what became of them."""
    healthy = calorimeter("doctor", around.lab.deployment).status
    for each in planned:
        counts.add(each, tried(around, each, healthy))


def possible(own_lab: bool) -> dict[str, str]:
    """Misfortune → why it is not possible here, empty if it is."""
    root = "" if os.geteuid() == 0 else "it needs root"
    group = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
    why = dict.fromkeys(misfortunes.STRIKES, "")
    why["disk"] = root
    why["clock"] = "" if shutil.which("cc") else "it needs cc: sudo apt-get install gcc libc6-dev"
    why["out-of-memory kill"] = root or ("" if group else "no control group of version 1 for memory")
    why["namespace"] = root if own_lab else "it needs a sample of its own"
    return why


@contextmanager
def surroundings(given: str | None, name: str, *shape: str) -> Iterator[Around]:
    """The lab, the small disks, the clock and the control group."""
    compiler = shutil.which("cc")
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cal-")))
        if not given:
            os.environ["XDG_STATE_HOME"] = str(home)
        own = [] if given else [paths.state() / "faults", paths.state() / "tracing"]
        disk = Disk(home / "runs", *own, small=os.geteuid() == 0)
        stack.callback(disk.close)
        clock = SteppedClock(compiler, home) if compiler else None
        memory = Path("/sys/fs/cgroup/memory")
        group = MemoryGroup(memory) if os.access(memory / "cgroup.procs", os.W_OK) else None
        if group is not None:
            stack.callback(group.close)
        name = stack.enter_context(labs.lab(given, name, *shape))
        yield Around(lab_state.open_lab(name), home / "runs", disk, clock, group)


def main() -> int:
    """Run the soak. Exit status 1 if a round was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the plans (default 1)")
    parser.add_argument("--only", help="plans that contain this text, as in 'SIGKILL of all'")
    parser.add_argument("--lab", help="running healthy lab, left up (default: one of its own)")
    given = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would its children.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    why = possible(not given.lab)
    for name, reason in why.items():
        if reason:
            print(f"left out: {name} ({reason})", flush=True)
    kinds = tuple(name for name, reason in why.items() if not reason)
    endless = misfortunes.drawn(given.seed, kinds, GATES)
    wanted = (each for each in endless if not given.only or given.only in str(each))
    planned = list(islice(wanted, given.rounds))
    forked.preload()
    counts = Counts()
    with suppress(KeyboardInterrupt):  # what was done is counted, and the lab is taken down
        soak(given.lab, planned, counts)
    return counts.show()


def soak(given: str | None, planned: list[Round], counts: Counts) -> None:
    """All rounds, on the `given` lab or on labs of their own."""
    for name, shape, lost in ((NAME, SHAPE, False), (f"{NAME}-s", SAMPLE, True)):
        chosen = [each for each in planned if (each.misfortune == "namespace") is lost]
        if not chosen:
            continue
        with surroundings(given, name, *shape) as around:
            rounds(around, chosen, counts)
            folder = around.lab.folder
        if not given:
            counts.left += left_of(folder)


def left_of(folder: Path) -> list[str]:
    """What a lab left that was taken down."""
    left = [str(each) for each in processes.running(folder)]
    left += [str(path) for path in (folder, folder.with_suffix(".lock")) if path.exists()]
    return [*left, *part_faults.tables(folder.name), *network.existing(folder.name)]


if __name__ == "__main__":
    sys.exit(main())
