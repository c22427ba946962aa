"""A load on the real lab, the way a user starts it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from calorimeter.core.clock import now_ns
from calorimeter.core.deployment import Deployment
from calorimeter.core.recorded.load_generator import windows
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.load.apis.keystone_tokens import Token
from calorimeter.load.arrivals.due_times import RateProfile, schedule
from calorimeter.load.tenants import leftovers
from calorimeter.load.tenants.leftovers import Cleaner
from calorimeter.workload.stages import Stage
from tests.places import CLONE

LOCUSTFILE = CLONE / "loadtests/locustfile.py"


def calorimeter(*words: str, timeout_s: float = 150) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def rows_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """All rows of a run."""
    return [row for file in RunDir(run).parquet(kind) for row in pq.read_table(file).to_pylist()]


def left_of(lab: Deployment, run: Path) -> int:
    """How many stacks of a run are there still."""
    found = Cleaner.of(lab, Token(lab)).remaining(leftovers.prefix(run.name), now_ns() + 20 * 10**9)
    assert found is not None
    return len(found)


@pytest.mark.lab
def test_run_records_every_request_and_leaves_nothing(lab: Deployment, tmp_path: Path) -> None:
    """A 10 s run: rows in order of time, all operations, each user on its own address, no stack left."""
    done = calorimeter(
        *("run", "first-mix", "--deployment", str(lab.path), "--users", "8", "--duration", "10s"),
        *("--runs", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    assert last.startswith("run: ")
    run = Path(last.removeprefix("run: "))

    samples = rows_of(run, "samples")
    assert len(samples) > 50
    for row in samples:
        assert row["scheduled_ns"] <= row["sent_ns"] <= row["first_byte_ns"] <= row["done_ns"]
        assert row["source"].startswith("127.")
    assert Counter(row["error"] for row in samples).keys() == {""}
    assert {"list", "create", "wait", "ListStacks"} <= {row["operation"] for row in samples}
    assert {row["phase"] for row in samples} == {"warm_up", "load", "clean_up"}
    assert len({row["request_id"] for row in samples}) == len(samples)
    sources = {(row["user"], row["source"]) for row in samples}
    assert len(sources) == len({user for user, _ in sources}) == 8

    ledger = rows_of(run, "ledger")
    created = [row for row in samples if row["operation"] in ("create", "CreateStack")]
    assert {row["request_id"] for row in ledger} == {row["request_id"] for row in created}
    assert {row["final_state"] for row in ledger} == {"CREATE_COMPLETE"}
    assert all(row["accepted_ns"] < row["final_ns"] < row["deleted_ns"] for row in ledger)
    assert left_of(lab, run) == 0

    about = RunDir.open(run).about
    assert (about["scenario"], about["clean_stop"]) == ("first-mix", True)
    assert about["templates"].keys() == {"tiny.yaml", "tiny-cfn.json"}
    assert (run / "scenario.toml").read_text() == (CLONE / "scenarios/first-mix.toml").read_text()
    secrets = [lab.reveal(lab.identity.password)] if lab.identity else []
    for file in run.rglob("*"):
        if file.is_file():
            assert not any(secret.encode() in file.read_bytes() for secret in secrets), file


@pytest.mark.lab
def test_interrupt_saves_what_there_is(lab: Deployment, tmp_path: Path) -> None:
    """Ctrl-C in the middle: the stacks are removed, the samples saved, status 130."""
    command = [sys.executable, "-m", "calorimeter", "run", "first-mix", "--deployment", str(lab.path)]
    command += ["--users", "4", "--duration", "100s", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "requests/s" in line:
                break
        os.kill(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=90)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    run = Path(output.splitlines()[-1].removeprefix("run: "))
    assert len(rows_of(run, "samples")) > 10
    assert left_of(lab, run) == 0


@pytest.mark.lab
def test_two_processes_give_one_result(lab: Deployment, tmp_path: Path) -> None:
    """Two workers share the arrivals of one: one folder, each arrival once, users that never meet."""
    done = calorimeter(
        *("run", "first-mix", "--deployment", str(lab.path), "--rate", "8", "--duration", "6s"),
        *("--users", "16", "--processes", "2", "--runs", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    run = Path(done.stdout.splitlines()[-1].removeprefix("run: "))
    files = RunDir(run).parquet("samples")
    assert [file.name for file in files] == ["worker-00.parquet", "worker-01.parquet"]
    users = [{row["user"] for row in pq.read_table(file).to_pylist()} - {-1} for file in files]
    assert users[0].isdisjoint(users[1])

    expected = sum(
        len(due.at_ns)
        for due in schedule(RateProfile([Stage(duration_s=6, rate_per_s=8)]), spacing="poisson", seed=1)
    )
    about = RunDir.open(run).about
    assert sum(worker["offered"] for worker in about["workers"]) == expected
    assert [worker["lost"] for worker in about["workers"]] == [False, False]
    assert all(abs(worker["clock_offset_s"]) < 0.05 for worker in about["workers"])
    begun = min(row["scheduled_ns"] for row in rows_of(run, "samples"))
    arrived = [
        row
        for row in rows_of(run, "samples")
        if row["operation"] not in ("wait", "gone") and row["phase"] != "clean_up"
    ]
    assert len(arrived) == expected
    assert max(row["scheduled_ns"] for row in arrived) - begun < 6e9
    measured = windows(run)
    assert {window.worker for window in measured} == {"worker-00", "worker-01"}
    assert sum(window.offered for window in measured) == pytest.approx(expected, abs=2)


@pytest.mark.lab
def test_lost_worker_is_reported(lab: Deployment, tmp_path: Path) -> None:
    """One of two workers is killed: the result names it and keeps the other's part; status 2."""
    with locust(
        *("--headless", "--deployment", str(lab.path), "--scenario", "first-mix", "--runs", str(tmp_path)),
        *("-u", "6", "-r", "6", "-t", "100s", "--skip-log-setup", "--processes", "2"),
    ) as process:
        workers = psutil.Process(process.pid)
        for _ in range(600):
            if len(list(tmp_path.glob("*/samples/*-00001.parquet"))) == 2:
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        workers.children()[0].kill()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=90)
    assert process.returncode == 2
    (line,) = (line for line in output.splitlines() if line.startswith("calorimeter: "))
    assert re.match(r"calorimeter: worker-0[01] on \S+ was lost", line)
    (run,) = tmp_path.iterdir()
    about = RunDir.open(run).about
    assert sorted(worker["lost"] for worker in about["workers"]) == [False, True]
    assert about["clean_stop"] is False
    calorimeter("clean", str(run), "--deployment", str(lab.path))


@pytest.mark.lab
def test_killed_command_takes_its_load_along(lab: Deployment, tmp_path: Path) -> None:
    """kill -9 of `calorimeter run`: Locust ends its users, removes their stacks and records this."""
    command = [sys.executable, "-m", "calorimeter", "run", "first-mix", "--deployment", str(lab.path)]
    command += ["--users", "4", "--duration", "100s", "--runs", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        for _ in range(600):
            if list(tmp_path.glob("*/samples/*-00001.parquet")):
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        (load,) = psutil.Process(process.pid).children()
        process.kill()
    load.wait(60)
    (run,) = tmp_path.iterdir()
    assert RunDir.open(run).about["stopped"] == "interrupted"
    assert left_of(lab, run) == 0


@contextmanager
def locust(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The `locust` command; Ctrl-C ends it if it still runs."""
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(90)
                except subprocess.TimeoutExpired:
                    process.kill()  # the next line would wait for ever
                    raise


@pytest.mark.lab
def test_locust_page_shows_the_load(lab: Deployment, tmp_path: Path) -> None:
    """Locust's own page works: the numbers of its statistics are those of the samples."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    run = ""
    with locust(
        *("--deployment", str(lab.path), "--scenario", "first-mix", "--runs", str(tmp_path)),
        *(
            "--web-host",
            "127.0.0.1",
            "--web-port",
            str(port),
            "-u",
            "4",
            "-r",
            "4",
            "-t",
            "6s",
            "--autostart",
        ),
    ) as process:
        for line in process.stdout or ():
            if line.startswith("run: "):
                run = line.removeprefix("run: ").strip()
                break
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=10) as answer:
            shown = {
                (row["method"], row["name"]): row["num_requests"] for row in json.load(answer)["stats"]
            }
    counted = Counter((row["api"].upper(), row["operation"]) for row in rows_of(Path(run), "samples"))
    assert {key: shown[key] for key in counted} == dict(counted)
    assert ("REST", "accepted to COMPLETE") in shown
    ended = Counter(
        (row["api"].upper(), f"{row['operation']} to COMPLETE") for row in rows_of(Path(run), "actions")
    )
    assert ended["REST", "delete to COMPLETE"] > 0
    assert {key: shown[key] for key in ended} == dict(ended)


@pytest.mark.lab
def test_recording_that_fails_ends_the_run_with_status_2(lab: Deployment, tmp_path: Path) -> None:
    """If samples cannot be written, Locust stops, and prints the reason in one line."""
    with locust(
        *("--headless", "--deployment", str(lab.path), "--scenario", "first-mix", "--runs", str(tmp_path)),
        *("-u", "4", "-t", "100s", "--skip-log-setup"),
    ) as process:
        for _ in range(600):
            files = list(tmp_path.glob("*/samples/*-00001.parquet"))
            if files:
                break
            try:
                process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        folder = files[0].parent
        folder.rename(folder.with_name("gone"))
        output, _ = process.communicate(timeout=90)
    assert process.returncode == 2
    assert [line for line in output.splitlines() if line.startswith("calorimeter: ")] == [
        line for line in output.splitlines() if "cannot be written" in line
    ]
    assert "Traceback" not in output


@pytest.mark.lab
def test_taken_port_of_the_page_is_one_line(lab: Deployment, tmp_path: Path) -> None:
    """If the port of Locust's page is taken: one line, status 2, and no run folder."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with locust(
            *("--deployment", str(lab.path), "--runs", str(tmp_path), "--skip-log-setup"),
            *("--web-host", "127.0.0.1", "--web-port", port),
        ) as process:
            output, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert output.splitlines() == [
        f"calorimeter: --web-host 127.0.0.1 --web-port {port}: the page cannot be served there "
        "(Address already in use); valid: a free port"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.lab
def test_killed_run_can_be_read_and_cleaned(lab: Deployment, tmp_path: Path) -> None:
    """After kill -9 the samples are readable, and `calorimeter clean` removes the stacks."""
    with locust(
        *("--headless", "--deployment", str(lab.path), "--scenario", "first-mix", "--runs", str(tmp_path)),
        *("-u", "6", "-r", "6", "-t", "100s", "--skip-log-setup"),
    ) as process:
        for _ in range(900):
            runs = list(tmp_path.iterdir())
            created = [
                row for run in runs for row in rows_of(run, "samples") if row["operation"] == "create"
            ]
            if len(created) >= 2:
                break
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
        process.kill()
        process.wait()
    assert left_of(lab, runs[0]) > 0
    done = calorimeter("clean", str(runs[0]), "--deployment", str(lab.path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("removed, 0 left\n")
    assert left_of(lab, runs[0]) == 0


@pytest.mark.lab
@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('file = "secrets.toml"', 'file = "wrong.toml"', "Keystone refuses user"),
        (
            '[rest]\nurl = "http://127.0.0.1:',
            '[rest]\nurl = "http://127.0.0.2:',
            "rest.url http://127.0.0.2:",
        ),
        ("127.16.0.0/12", "192.0.2.0/24", "192.0.2.1 cannot be a source address here"),
        ('level = "invasive"', 'level = "passive"', "'passive' does not allow a load"),
    ],
)
def test_unusable_set_up_is_one_line(
    lab: Deployment, tmp_path: Path, old: str, new: str, line: str
) -> None:
    """Wrong password, unreachable proxy, foreign addresses, no consent: one line, status 2, no run."""
    secrets = (lab.path.parent / "secrets.toml").read_text()
    for name, text in (("secrets.toml", secrets), ("wrong.toml", re.sub(r'= ".*"', '= "wrong"', secrets))):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    described = lab.path.read_text()
    assert old in described
    (tmp_path / "deployment.toml").write_text(described.replace(old, new))
    done = calorimeter(
        "run", "--deployment", str(tmp_path / "deployment.toml"), "--runs", str(tmp_path / "runs")
    )
    assert done.returncode == 2
    # On a busy machine, the line that announces the checks comes first.
    printed = [each for each in done.stderr.splitlines() if not each.startswith("checking ")]
    assert len(printed) == 1
    assert line in printed[0]
    assert not (tmp_path / "runs").exists()
