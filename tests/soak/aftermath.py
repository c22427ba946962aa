"""What must hold after a round of `bin/soak healing`: each difference is a sentence."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow.parquet as pq

from calorimeter.core.deployment import Deployment
from calorimeter.core.faults.journal import Journal
from calorimeter.core.host import netns
from calorimeter.core.waiting import DeadlineError, until
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.evidence.proxy_state import read_stat
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
from calorimeter.lab import part_faults, processes
from calorimeter.lab.daemons import haproxy
from calorimeter.lab.hosts import network
from calorimeter.lab.lab_state import Lab
from calorimeter.load.recording.recorder import FLUSH_S
from tests.soak.forked import Command, Ended
from tests.soak.misfortunes import Round
from tests.soak.struck_work import OUTPUT, Work

USED_S = 60.0
PROCESSES_S = 150.0
"""The longest that processes may remain: the time limit of one command that heals."""

WRITING_S = 2.0
"""Time to write one second's samples on a busy machine, and to poll proxy and broker once."""

KILLED_WITH = ("load", "worker", "all")
"""Victims with whom a load dies; of a master, its workers must still record up to the moment."""

CLEAN_WITHIN = "60s"
UNDELETED = """
import pymysql, sys
host, port, password, run = sys.argv[1:]
def rows(database, query):
    with pymysql.connect(host=host, port=int(port), user=database, password=password, db=database) as c:
        with c.cursor() as cursor:
            cursor.execute(query, (f"%{run}%",))
            return [str(row[0]) for row in cursor.fetchall()]
print(*rows("heat", "SELECT CONCAT('stack ', name) FROM stack WHERE deleted_at IS NULL AND name LIKE %s"),
      *rows("keystone", "SELECT CONCAT('project ', name) FROM project WHERE name LIKE %s"),
      *rows("keystone", "SELECT CONCAT('user ', name) FROM local_user WHERE name LIKE %s"), sep="\\n")
"""
"""Asks the databases themselves, which know nothing of the suite's own way to find what is left."""


@dataclass(frozen=True, slots=True)
class Struck:
    """What happened in a round: when it was struck (ns), whom, and what was broken at that moment."""

    at_ns: int
    pids: int
    was_open: str
    status: str
    had_begun_s: float
    had_ended: bool = False
    """Whether the work had ended by itself before the moment of the strike."""
    kills: int = 0
    """How many processes the kernel killed for memory."""


def open_faults(journal: Journal) -> str:
    """The faults that the journal lists as open."""
    record = journal.read()
    return ", ".join(f"{each.part} {each.fault}" for each in record.open) if record else "nothing"


def not_used(lab: Lab) -> list[str]:
    """Servers that the proxy sends no connections to."""
    try:
        rows = read_stat(haproxy.command(lab, "show stat"))
    except OSError as problem:
        return [f"the proxy does not answer: {problem}"]
    servers = [row for row in rows if row.kind == "server"]
    return [f"{row.name} is {row.status}" for row in servers if not row.takes_connections]


def of_the_lab(lab: Lab, journal: Journal) -> list[str]:
    """The differences from a healthy lab."""
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


def of_the_broker(deployment: Deployment) -> list[str]:
    """Tracing that is still on."""

    def look() -> None:
        netns.enter_client_netns(deployment)
        try:
            with BrokerApi.of(deployment) as api:
                print("the broker's tracing is on\n" if api.tracing() else "", end="")
        except EvidenceUnavailable as problem:
            print(f"tracing cannot be seen: {problem}")

    done = Command("tracing", act=look).end()
    return done.stdout.splitlines() + problems(done, {0})


def await_end(work: Work, within_s: float) -> None:
    """Wait until no process of the work is left, for a while."""
    with suppress(DeadlineError):
        until(lambda: not work.processes(), within_s, every_s=0.1)


def of_the_processes(work: Work) -> list[str]:
    """Processes of the work that do not end."""
    await_end(work, PROCESSES_S)
    found = []
    for process in work.processes():
        with suppress(psutil.Error):
            words = " ".join(process.cmdline())[:120]
            found.append(f"process {process.pid} ({process.status()}) is left: {words}")
    return found


@dataclass(frozen=True, slots=True)
class Examined:
    """A run, and the commands that examine it at the same time; only a load has a balance."""

    run: Path
    report: Command
    clean: Command
    balance: Command | None

    @classmethod
    def begin(cls, run: Path, lab: Lab) -> Examined:
        """Begin all commands."""
        words = ("clean", str(run), "--deployment", str(lab.deployment), "--within", CLEAN_WITHIN)
        is_load = (run / "scenario.toml").exists()
        balance = Command("balance", str(run)) if is_load else None
        return cls(run, Command("report", str(run)), Command(*words), balance)

    def wrong(self, lab: Lab) -> list[str]:
        """Why it cannot be read or cleaned."""
        has_samples = bool(list(self.run.glob("samples/*.parquet")))
        wrong = problems(self.report.end(), {0} if has_samples else {0, 2})
        wrong += problems(self.clean.end(), {0})
        if self.balance is not None:
            wrong += problems(self.balance.end(), {0, 1} if has_samples else {0, 1, 2})
            wrong += [f"left at {self.run.name}: {line}" for line in undeleted(lab, self.run.name)]
        return wrong


def begin_examination(work: Work, lab: Lab) -> list[Examined]:
    """Begin to examine all runs."""
    return [Examined.begin(path.parent, lab) for path in sorted(work.runs.glob("*/run.json"))]


def loads_killed(work: Work, planned: Round, struck: Struck) -> list[Path]:
    """The loads that were killed at a known moment, of which the records must go up to it."""
    killed = planned.misfortune in ("SIGKILL", "SIGSTOP, SIGKILL") and planned.victim in KILLED_WITH
    if not killed or not struck.pids or struck.had_begun_s < FLUSH_S + WRITING_S:
        return []
    return [path.parent for path in work.runs.glob("*/scenario.toml")]


def problems(done: Ended, allowed: set[int]) -> list[str]:
    """What is wrong with a command that has ended: its exit status, a traceback."""
    found = []
    if done.status not in allowed:
        found.append(f"{done.words[0]}: exit status {done.status}: {(done.stderr or done.stdout)[-300:]}")
    if "Traceback" in done.stderr + done.stdout:
        found.append(f"{done.words[0]}: traceback: {done.stderr[-2000:]}")
    return found


def undeleted(lab: Lab, run: str) -> list[str]:
    """Stacks, projects and users of a run, as the databases of Heat and Keystone have them."""
    given = (lab.host("mariadb"), str(lab.port("mariadb")), lab.secrets["mariadb"], run)
    client = netns.within(client_namespace(lab))
    argv = [*client, lab.programs.heat("python"), "-W", "ignore", "-c", UNDELETED, *given]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (
        done.stdout.split("\n")[:-1]
        if done.returncode == 0 and done.stdout.strip()
        else ([f"the databases do not answer: {done.stderr[-200:]}"] if done.returncode else [])
    )


def client_namespace(lab: Lab) -> str | None:
    """The namespace of a lab's client host, if its hosts are namespaces."""
    return network.namespace(lab.topology.name, lab.layout.client) if lab.layout else None


def freshness(run: Path, at_ns: int) -> list[str]:
    """Records that end more than a second, and the time to write them, before the load was killed.

    The load's pauses between two answers are taken from the record itself.
    """
    done: list[int] = []
    for file in run.glob("samples/*.parquet"):
        done += pq.read_table(file, columns=["done_ns"])["done_ns"].to_pylist()
    times = np.sort(np.array([each for each in done if each <= at_ns]))
    if not len(times):
        return ["no sample is from before the strike"]
    longest_s = float(np.diff(times).max()) / 1e9 if len(times) > 1 else 0.0
    missing_s, allowed_s = (at_ns - int(times[-1])) / 1e9, FLUSH_S + WRITING_S + 2 * longest_s
    wrong = []
    if missing_s > allowed_s:
        wrong.append(f"the last {missing_s:.1f} s of samples are missing (allowed {allowed_s:.1f} s)")
    watched = _last_polls(run)
    for name, t_ns in watched.items():
        late_s = (at_ns - t_ns) / 1e9
        if late_s > 1.0 + WRITING_S + longest_s:
            wrong.append(f"{name} ends {late_s:.1f} s before the strike")
    return wrong


def _last_polls(run: Path) -> dict[str, int]:
    found = {}
    for name in ("proxy.jsonl", "broker.jsonl"):
        with suppress(OSError):
            whole = (run / "watch" / name).read_text().rpartition("\n")[0].splitlines()
            if whole:
                found[name] = int(json.loads(whole[-1])["t_ns"])
    return found


def of_the_output(work: Work, planned: Round) -> list[str]:
    """Tracebacks of work that was asked to end in an orderly way."""
    text = (work.runs / OUTPUT).read_text("utf-8", "replace")
    orderly = planned.misfortune in ("SIGINT", "SIGTERM", "clock")
    return ["traceback in the output"] if orderly and "Traceback" in text else []
