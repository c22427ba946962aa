"""Programs that the user built: what runs, is new enough and tells its version, before anything starts."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.lab import own_build, programs
from calorimeter.lab.own_build import HAPROXY, RABBITMQ


@pytest.fixture
def haproxy(tmp_path: Path) -> Path:
    """A copy of the system's HAProxy, as a build of one's own."""
    copied = tmp_path / "my haproxy"
    shutil.copy(programs.found().haproxy, copied)
    return copied


def test_an_own_haproxy_runs_in_place_of_the_systems(haproxy: Path) -> None:
    """A symbolic link is followed, and the version is what the program itself says."""
    link = haproxy.with_name("link")
    link.symlink_to(haproxy)
    assert own_build.checked(link, HAPROXY) == haproxy
    said = subprocess.run([str(haproxy), "-v"], capture_output=True, text=True, check=True).stdout
    assert own_build.version(link, HAPROXY) in said.split()
    assert programs.found(haproxy=haproxy).haproxy == haproxy


@pytest.mark.parametrize("given", ["haproxy", "/does/not/exist", "/etc/passwd", "/tmp"])
def test_what_is_no_program_is_refused(given: str) -> None:
    """A relative path depends on where the next command runs."""
    with pytest.raises(InputError, match="--haproxy: '.*' given; valid: the absolute path of a program"):
        own_build.checked(Path(given), HAPROXY)


def test_another_program_is_refused() -> None:
    """It does not call itself HAProxy."""
    with pytest.raises(InputError, match="'/bin/echo' given, whose version is unknown; valid: .* 2.2"):
        own_build.checked(Path("/bin/echo"), HAPROXY)


def test_an_old_program_is_refused(haproxy: Path) -> None:
    """With its version."""
    with pytest.raises(InputError, match="--haproxy: '.* given, of version '[0-9.]+.*'; valid: "):
        own_build.checked(haproxy, replace(HAPROXY, earliest=(99, 0)))


def test_a_program_that_says_nothing_in_time_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`lab up` does not wait for it."""
    monkeypatch.setattr(own_build, "ASK_S", 0.1)
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o700)
    with pytest.raises(InputError, match="given, whose version is unknown"):
        own_build.checked(slow, HAPROXY)


def test_an_own_rabbitmq_is_the_tree_that_its_script_is_in() -> None:
    """A generic build has the script in `sbin`; Debian's folder `bin` has a link to it."""
    tree = programs.RABBITMQ.resolve().parents[1]
    own = tree / "sbin" / "rabbitmq-server"
    assert own_build.checked(programs.RABBITMQ, RABBITMQ) == own
    assert own_build.version(own, RABBITMQ) == tree.name.rpartition("-")[2]


def test_a_packaging_script_of_rabbitmq_is_refused() -> None:
    """It changes to another user, who cannot read the lab's folder."""
    script = Path("/usr/sbin/rabbitmq-server")
    if not script.exists():
        pytest.skip("no RabbitMQ of the system")
    with pytest.raises(InputError, match="--rabbitmq: .* given, whose version is unknown; valid: sbin/rab"):
        own_build.checked(script, RABBITMQ)
