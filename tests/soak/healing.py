"""Gates that break a lab are interrupted repeatedly: `calorimeter doctor` must find the lab healed.

Uses a lab of its own, or `--lab NAME`. Each round starts `calorimeter verify` with some gates H and ends
it at a random moment, by SIGINT, SIGTERM and SIGKILL in turn; with every second SIGKILL its guardian is
killed too. Then `calorimeter doctor` must exit as on the healthy lab, and leave no journal, no nftables
table, no stopped process of the lab, no part without a process, no relay, and every server of the proxy
UP; after SIGINT and SIGTERM it must have had nothing to heal. Prints one line per round, and the counts;
exit status 1 if a round was unexpected. The same `--seed` repeats the same rounds.

Every command of the suite heals what a killed run left. If other commands run on this machine, one of
them may heal before `doctor` does; the round then reports 0 healed.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from calorimeter.core import deployment as deployments
from calorimeter.core import paths
from calorimeter.core.faults.journal import Journal
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.evidence.proxy_state import read_stat
from calorimeter.lab import lab_state, part_faults, processes
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.lab_state import Lab
from tests.soak import labs
from tests.soak.labs import calorimeter

NAME = "soak-healing"
GATES = ("H2", "H3", "H4", "H6", "H7", "H8")
OUTPUT = "output"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
AT_ONCE = 0.2
"""Share of rounds whose moment is counted from the start, not from the first fault."""
LONGEST_S = 12.0
FIRST_FAULT_S = 120.0
GONE_S = 120.0
USED_S = 60.0


@dataclass(frozen=True)
class Round:
    """The plan of a round, drawn at random before it."""

    gates: tuple[str, ...]
    signal: signal.Signals
    guardian: bool
    at_once: bool
    moment_s: float


def drawn(rng: random.Random, number: int) -> Round:
    """The round of this number, from 0 on."""
    chosen = tuple(sorted(rng.sample(GATES, rng.randint(1, 3))))
    turn, kind = divmod(number, len(SIGNALS))
    guardian = SIGNALS[kind] is signal.SIGKILL and turn % 2 == 0
    return Round(chosen, SIGNALS[kind], guardian, rng.random() < AT_ONCE, rng.uniform(0, LONGEST_S))


def open_faults(journal: Journal) -> str:
    """The faults that the journal lists as open."""
    record = journal.read()
    return ", ".join(f"{each.part} {each.fault}" for each in record.open) if record else "nothing"


def guardians(pid: int) -> list[psutil.Process]:
    """The fault guardians that a process has started."""
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if "calorimeter.core.faults.fault_guardian" in child.cmdline():
                    found.append(child)
    return found


def ended(deployment: Path, planned: Round, runs: Path) -> tuple[str, str]:
    """Start the gates and end them: the faults open at that moment, and a sentence on the round.

    Faults that the journal still lists when the gates are gone are healed by the first of these: the
    guardian, a command that the gates had begun, another command of the suite on this machine, `doctor`.
    """
    journal = Journal.of(deployments.read(deployment))
    command = [sys.executable, "-m", "calorimeter", "verify", str(deployment)]
    command += ["--gates", ",".join(planned.gates), "--runs", str(runs)]
    began = time.monotonic()
    with (runs / OUTPUT).open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as gates:
        if not planned.at_once:
            with suppress(DeadlineError):
                until(lambda: journal.path.exists() or gates.poll() is not None, FIRST_FAULT_S)
        with suppress(subprocess.TimeoutExpired):
            gates.wait(planned.moment_s)
        guards = guardians(gates.pid) if planned.guardian else []
        broken, moment = open_faults(journal), time.monotonic() - began
        for guard in guards:
            guard.kill()
        gates.send_signal(planned.signal)  # no effect if it has ended already
        try:
            status = str(gates.wait(GONE_S))
        except subprocess.TimeoutExpired:
            gates.kill()
            status = f"NOT GONE after {GONE_S:g} s"
    with_guardian = f" and {len(guards)} guardian" if planned.guardian else ""
    took = time.monotonic() - began - moment
    how = f"{planned.signal.name}{with_guardian} after {moment:.1f} s, gone {took:.1f} s later: {status}"
    return broken, f"{how}; open: {broken}, and when it was gone: {open_faults(journal)}"


def not_used(lab: Lab) -> list[str]:
    """Servers that the proxy sends no connections to."""
    try:
        rows = read_stat(haproxy.command(lab, "show stat"))
    except OSError as problem:
        return [f"the proxy does not answer: {problem}"]
    servers = [row for row in rows if row.kind == "server"]
    return [f"{row.name} is {row.status}" for row in servers if not row.takes_connections]


def left(lab: Lab, journal: Journal) -> list[str]:
    """The differences from a healthy lab, as sentences."""
    found = [f"journal: {open_faults(journal)}"] if journal.path.exists() else []
    found += [f"table {name}" for name in part_faults.tables(lab.topology.name)]
    running = processes.running(lab.folder)
    found += [f"{each.part} (pid {each.pid}) is stopped" for each in running if each.state == "T"]
    parts = {each.part for each in running}
    found += [f"{part} does not run" for part in lab.topology.parts if part not in parts]
    found += [f"{part} still runs" for part in parts if part.startswith("relay-")]
    with suppress(DeadlineError):  # a server that was just started is UP after its checks
        until(lambda: not not_used(lab), USED_S, every_s=0.2)
    return found + not_used(lab)


def tried(name: str, planned: Round, healthy: int) -> tuple[str, list[str]]:
    """One round: the faults open when it was ended, and the problems after `doctor`."""
    lab = lab_state.open_lab(name)
    deployment = paths.lab(name) / "deployment.toml"
    with tempfile.TemporaryDirectory(prefix="calorimeter-") as runs:
        broken, how = ended(deployment, planned, Path(runs))
        doctor = calorimeter("doctor", str(deployment))
        wrong = [f"doctor: exit status {doctor.returncode}"] if doctor.returncode != healthy else []
        wrong += left(lab, Journal.of(deployments.read(deployment)))
        wrong += ["verify was not gone"] if "NOT GONE" in how else []
        healed = sum(line.startswith("healed ") for line in doctor.stderr.splitlines())
        wrong += ["left to doctor"] if healed and planned.signal is not signal.SIGKILL else []
        print(
            f"{','.join(planned.gates)}: {how}; {healed} healed by doctor: {wrong or 'as expected'}",
            flush=True,
        )
        if wrong:
            print((Path(runs) / OUTPUT).read_text("utf-8", "replace"), doctor.stdout, doctor.stderr, sep="")
    return broken, wrong


def rounds(name: str, count: int, seed: int) -> int:
    """Run `count` rounds; the number of unexpected ones."""
    rng = random.Random(seed)
    healthy = calorimeter("doctor", str(paths.lab(name) / "deployment.toml")).returncode
    wrong, broken = 0, Counter[str]()
    done = Counter[str]()
    for number in range(count):
        planned = drawn(rng, number)
        what = planned.signal.name + (" with guardian" if planned.guardian else "")
        was_open, problems = tried(name, planned, healthy)
        done[what] += 1
        broken[what] += was_open != "nothing"
        wrong += bool(problems)
    for what, times in done.items():
        print(f"{what}: {times} times, in {broken[what]} of them something was open")
    print(f"seed {seed}: {count - wrong} of {count} rounds as expected", flush=True)
    return wrong


def main() -> int:
    """Run the soak. Exit status 1 if a round was unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="number of rounds (default 10)")
    parser.add_argument("--seed", type=int, default=1, help="seed of gates and moments (default 1)")
    parser.add_argument("--lab", help="running healthy lab, left up (default: one of its own)")
    given = parser.parse_args()
    # A shell's background job ignores SIGINT, and so would its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with labs.lab(given.lab, NAME) as name:
        wrong = rounds(name, given.rounds, given.seed)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
