"""A load that this machine cannot hold is refused before its first user, with what would make room."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.core.host import machine
from calorimeter.load.run import load_processes, machine_limits
from calorimeter.workload import catalogue
from calorimeter.workload.scenario import Scenario
from tests.load.programs import result_of

MIB = 2**20


@pytest.fixture(autouse=True)
def of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with 2 processors, 20,000 open files, 28,232 local ports, 8 GiB and 1 GiB of disk."""
    known = {"processors": 2, "open_files": 20_000, "local_ports": 28_232, "free_processes": 1000}
    known |= {"free_memory": 8192 * MIB}
    for name, value in known.items():
        monkeypatch.setattr(machine, name, lambda value=value: value)
    monkeypatch.setattr(machine, "free_disk", lambda folder: 1024 * MIB)


def scenario(name: str = "first-mix", **changes: float) -> Scenario:
    """A scenario of the catalogue with changes."""
    return catalogue.read(catalogue.find(name)).with_overrides(**changes)  # type: ignore[arg-type]


def refusal(load: Scenario, sources: int = 1, processes: int = 1) -> str:
    """Why a load is refused."""
    with pytest.raises(InputError) as refused:
        machine_limits.check(load, {"rest": sources, "cfn": sources}, Path("runs"), processes)
    return str(refused.value)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_scenario_of_the_catalogue_fits(name: str) -> None:
    """No honest load is refused on a small machine."""
    machine_limits.check(scenario(name), {"rest": 1, "cfn": 1}, Path("runs"))


def test_open_files_are_counted_for_each_process() -> None:
    """The message names the hard limit, how many users fit, and what makes room."""
    assert refusal(scenario(users=30_000)) == (
        "users: 30000 users in 1 process need 30100 open files in each, the hard limit is 20000; "
        "valid: up to 19900 users, --processes 2, or `ulimit -n 30100` first, as root"
    )
    machine_limits.check(scenario(users=30_000), {"rest": 4, "cfn": 4}, Path("runs"), processes=2)


def test_local_ports_are_counted_for_each_source_address() -> None:
    """Two processes have the files, but one source address does not have the ports."""
    message = refusal(scenario("engine-wait", users=30_000), processes=2)
    assert message.startswith(
        "users: 30000 connections to rest from 1 source address need 30000 local ports"
    )
    assert message.endswith("valid: up to 28232 users, or 2 addresses in clients.sources")


def test_memory_is_counted_for_users_and_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """120 MiB a process, 64 KiB a user."""
    monkeypatch.setattr(machine, "free_memory", lambda: 512 * MIB)
    message = refusal(scenario(users=10_000), sources=9)
    assert message.startswith("users: 10000 users in 1 process need 745 MiB, 512 MiB are free")
    assert "valid: up to 6272 users" in message


def test_a_rate_of_arrivals_brings_its_users_and_its_samples() -> None:
    """A rate makes two seconds of users, and a sample on disk for each arrival."""
    assert refusal(scenario(rate_per_s=1_000_000.0)).startswith("users: 2000000 users in 1 process need")
    message = refusal(scenario(rate_per_s=1000.0, duration_s=86400.0))
    assert message.startswith(
        "rate: 86400000 arrivals in 86400 s need 2,637 MiB at runs, 1,024 MiB are free"
    )


def test_users_that_signal_at_the_other_api_have_two_connections() -> None:
    """A CFN stack is signalled at REST, or the other way round, on a connection of its own."""
    both = machine_limits.connections(scenario("whole-api"))
    assert {api: len(to) for api, to in both.items()} == {"rest": 2, "cfn": 1}
    assert machine_limits.connections(scenario("first-mix")) == {"rest": {"rest"}, "cfn": {"cfn"}}


@pytest.mark.parametrize(
    ("number", "allowed", "message"),
    [
        (9, None, "valid: a whole number from 1 to 8 (this machine has 2 processors; --allow-processes N"),
        (999_999_999, None, "999999999 given; valid: a whole number from 1 to 8"),
        (17, 16, "17 given; valid: a whole number from 1 to 16 (--allow-processes)"),
        (
            990,
            1000,
            "990 given; this machine allows 1000 more processes (ulimit -u, pids.max); valid: up to 984",
        ),
        (200, 200, "200 processes need 24,000 MiB, 8,192 MiB are free; valid: up to 68"),
    ],
)
def test_processes_are_four_a_processor_unless_allowed(
    number: int, allowed: int | None, message: str
) -> None:
    """Also those that are allowed must find memory and room among the machine's processes."""
    with pytest.raises(InputError) as refused:
        load_processes.check_processes(number, allowed)
    assert str(refused.value).startswith("--processes: ") and message in str(refused.value)


def test_processes_that_fit_are_accepted() -> None:
    """Eight on two processors, and more if it is said."""
    load_processes.check_processes(8)
    load_processes.check_processes(20, 32)


@pytest.mark.slow  # Locust is imported
def test_a_load_beyond_the_open_files_ends_before_its_first_user(tmp_path: Path) -> None:
    """The soft limit was raised as far as possible; one line, status 2, no user, no run folder."""
    found = result_of("refused_load", str(tmp_path))
    assert found["line"].startswith(
        "calorimeter: users: 600 users in 1 process need 700 open files in each"
    )
    assert found["line"].endswith(
        "valid: up to 412 users, --processes 2, or `ulimit -n 700` first, as root\n"
    )
    assert (found["status"], found["soft"], found["users"]) == (2, 512, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deployment.toml", "errors.txt"]
