"""What a lab consists of, and the lock on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab import lab_state, lock
from calorimeter.lab.lab_topology import LabTopology
from tests.places import PROGRAMS


def test_parts_are_named_by_kind_and_number() -> None:
    """Services come first, the proxy last, as in a bring-up."""
    assert LabTopology(name="x", rest=2, cfn=1, engines=1).parts == (
        *("rabbitmq", "mariadb", "memcached", "keystone"),
        *("engine-1", "rest-1", "rest-2", "cfn-1", "proxy"),
    )


def test_engines_of_one_host_share_its_name() -> None:
    """With one engine a host, the host is called as the engine; else hosts have names of their own."""
    alone = LabTopology(name="x", engines=2)
    assert (alone.engine_hosts, alone.host_name("rest-1")) == (
        {"engine-1": ("engine-1",), "engine-2": ("engine-2",)},
        "rest-1",
    )
    shared = LabTopology(name="x", engines=3, engines_per_host=2)
    assert shared.engine_hosts == {
        "engine-host-1": ("engine-1", "engine-2"),
        "engine-host-2": ("engine-3",),
    }
    assert [shared.host_name(part) for part in ("engine-2", "engine-3")] == [
        "engine-host-1",
        "engine-host-2",
    ]


def test_versions_are_those_of_parts() -> None:
    """A part runs its own release if it has one; a release without heat-api is served by gunicorn."""
    mixed = LabTopology(name="x", engines=2, heat="24", releases={"rest-2": "27", "engine-2": "25"})
    assert [mixed.release(part) for part in ("engine-1", "engine-2", "rest-2")] == ["24", "25", "27"]
    assert [mixed.server(part) for part in ("rest-1", "rest-2")] == ["eventlet", "gunicorn"]
    assert mixed.processes == 1 + 2 + 4  # an engine of 25 has a process that leads its worker


@pytest.mark.parametrize("name", ["", "Lab", "a_b", "../x", "a" * 21, "ä"])
def test_names_that_could_escape_the_state_folder_are_refused(name: str) -> None:
    """A name is 1 to 20 of a-z, 0-9 and -."""
    with pytest.raises(InputError, match="valid: 1 to 20 of a-z, 0-9 and -"):
        lab_state.folder(name)


def test_topology_and_secrets_survive_the_disk(tmp_path: Path) -> None:
    """What is written reads back; the secrets are for their owner only."""
    asked = LabTopology(name="x", weights=(1, 2), ports={"rest": 20001})
    lab_state.write(asked, tmp_path)
    assert lab_state.read(tmp_path) == asked
    secrets = lab_state.fresh_secrets()
    lab_state.write_secrets(secrets, tmp_path)
    assert lab_state.read_secrets(tmp_path) == secrets
    assert (tmp_path / "secrets.toml").stat().st_mode & 0o777 == 0o600


def test_no_two_labs_have_a_password_in_common() -> None:
    """Secrets are drawn anew for each lab, and differ from one another."""
    drawn = [*lab_state.fresh_secrets().values(), *lab_state.fresh_secrets().values()]
    assert len(set(drawn)) == len(drawn)


def test_damaged_state_is_one_clear_line(tmp_path: Path) -> None:
    """A lab.json that is none says what clears it."""
    (tmp_path / "lab.json").write_text("{")
    with pytest.raises(InputError, match="is damaged; take it down with `calorimeter lab down"):
        lab_state.read(tmp_path)


def test_a_second_command_is_told_who_changes_the_lab(tmp_path: Path) -> None:
    """The lock names its holder, and is free again as soon as that process is dead."""
    folder = tmp_path / "x"
    folder.mkdir()
    holder = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "hold_lock.py"), str(folder)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
    with pytest.raises(InputError, match=f"is being changed by process {holder.pid}"), lock.held(folder, 0):
        pass
    holder.kill()
    holder.wait(5)
    with lock.held(folder, 0) as file:
        assert file.exists()


def test_the_lock_goes_with_its_lab(tmp_path: Path) -> None:
    """No lock file is left where there is no lab."""
    with lock.held(tmp_path / "gone", 0) as file:
        assert file.exists()
    assert not file.exists()
