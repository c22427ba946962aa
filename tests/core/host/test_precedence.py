"""A process that measures time runs before others where that is permitted; what it starts does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, subprocess, sys, threading
from calorimeter.core.host.precedence import LOOP, WRITER, Precedence

if os.getuid() == 0:
    os.setpriority(os.PRIO_PROCESS, 0, 7 if "nice" in sys.argv else 0)
if "nobody" in sys.argv:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)

def now():
    return [os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK, os.sched_getparam(0).sched_priority,
            os.getpriority(os.PRIO_PROCESS, 0)]

def in_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start(); thread.join()
    return found[0]

def writer():
    precedence.take(WRITER)
    return now()

precedence = Precedence("unwanted" not in sys.argv)
before = now()
precedence.take(LOOP)
taken, text = now(), str(precedence)
line = subprocess.run(["cat", "/proc/self/stat"], capture_output=True, text=True).stdout
child = line.rsplit(")", 1)[1].split()
found = {
    "before": before, "taken": taken, "text": text, "thread": in_thread(now), "writer": in_thread(writer),
    "lock_s": sys.getswitchinterval(),
    "child": [int(child[38]), int(child[37]), int(child[16])],
}  # the child: policy, rt_priority and nice, of proc(5), from its field 3
precedence.give_back("after a test")
print(json.dumps({**found, "after": now(), "text_after": str(precedence)}))
"""


def _run(*words: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, timeout=30, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


def _permitted() -> bool:
    trial = "import os; os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(2))"
    return (
        subprocess.run([sys.executable, "-c", trial], stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )


ONE = len(os.sched_getaffinity(0)) < 2


@pytest.mark.skipif(ONE or not _permitted(), reason="this machine does not permit real-time scheduling")
def test_the_loop_runs_first_then_the_writer_and_no_child() -> None:
    """Two levels for the threads that take them, the usual priority for all others."""
    found = _run()
    usual = found["before"]
    assert found["taken"][:2] == [os.SCHED_RR, 2]  # type: ignore[index]
    assert found["writer"][:2] == [os.SCHED_RR, 1]  # type: ignore[index]
    assert (found["thread"], found["child"], found["after"]) == (usual, usual, usual)
    assert (found["text"], found["lock_s"]) == ("SCHED_RR 2", 0.0005)
    assert found["text_after"] == "SCHED_RR 2 (given back after a test)"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_user_without_the_right_keeps_the_usual_priority() -> None:
    """Nothing is raised, and the reason is said."""
    found = _run("nobody")
    assert found["taken"] == found["before"] == found["writer"]
    assert found["text"] == f"usual ({'one processor' if ONE else 'not permitted'})"


def test_the_usual_priority_stays_if_it_is_wanted() -> None:
    """`--usual-priority`."""
    found = _run("unwanted")
    assert found["taken"] == found["before"] == found["writer"]
    assert found["text"] == found["text_after"] == "usual (as wanted)"


@pytest.mark.skipif(os.getuid() != 0, reason="only root may lower the nice value of the tests again")
def test_a_load_that_was_started_with_nice_keeps_it() -> None:
    """Whoever starts a load with `nice` wants the others first."""
    found = _run("nice")
    assert found["taken"] == found["before"] == found["after"]
    assert found["text"] == f"usual ({'one processor' if ONE else 'started with nice 7'})"
