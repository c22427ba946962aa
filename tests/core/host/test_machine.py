"""What the kernel says of this machine's limits."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from calorimeter.core.host import machine


@pytest.mark.parametrize(
    ("groups", "files", "left"),
    [
        (
            "0::/a/b\n",
            {"a/b/memory.max": "max\n", "a/memory.max": "1000\n", "a/memory.current": "300\n"},
            700,
        ),
        (
            "4:memory:/job\n",
            {"memory/job/memory.limit_in_bytes": "500", "memory/job/memory.usage_in_bytes": "900"},
            0,
        ),
        (
            "4:memory:/gone\n",
            {"memory/memory.limit_in_bytes": "50", "memory/memory.usage_in_bytes": "9"},
            41,
        ),
        ("4:cpu:/\n", {}, 4096 * 1024),
        ("", {}, 4096 * 1024),
    ],
)
def test_free_memory_is_that_of_the_machine_and_of_each_control_group(
    groups: str, files: dict[str, str], left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control groups of both versions, also those above; a folder that a container does not show."""
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroups"
    for path, text in {"proc/self/cgroup": groups, "proc/meminfo": "MemAvailable:   4096 kB\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for path, text in files.items():
        (cgroups / path).parent.mkdir(parents=True, exist_ok=True)
        (cgroups / path).write_text(text)
    monkeypatch.setattr(machine, "PROC", proc)
    monkeypatch.setattr(machine, "CGROUPS", cgroups)
    assert machine.free_memory() == left


def test_the_kernel_of_this_machine_can_be_read() -> None:
    """Its settings are files that cannot be read into a large buffer."""
    assert machine.processors() >= 1
    assert 1000 < (machine.local_ports() or 0) < 65536
    assert (machine.free_memory() or 0) > 2**20
    assert (machine.free_disk(Path("/nonexistent/runs")) or 0) > 0


def test_what_cannot_be_read_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the kernel's files nothing is refused."""
    monkeypatch.setattr(machine, "PROC", tmp_path)
    assert (machine.local_ports(), machine.free_memory()) == (None, None)


@pytest.mark.parametrize(
    ("limits", "wanted", "set_to"),
    [
        ((1024, 20000), 30000, (20000, 20000)),
        ((1024, 20000), 5000, (5000, 20000)),
        ((1024, 20000), 1000, None),
    ],
)
def test_the_soft_limit_of_open_files_is_raised_up_to_the_hard_one(
    limits: tuple[int, int], wanted: int, set_to: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is never lowered, and the hard limit stays."""
    done: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: done.append(new))
    machine.allow_open_files(wanted)
    assert done == ([set_to] if set_to else [])
