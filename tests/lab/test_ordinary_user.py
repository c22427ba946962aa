"""A lab of an ordinary user: it works without root, and offers nothing that needs root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from calorimeter.core import deployment as deployments
from calorimeter.lab import processes
from calorimeter.lab.part_faults import HEALS
from tests.lab.stack_walks import cfn_walk, rest_walk
from tests.places import CLONE

pytestmark = pytest.mark.lab

NOBODY = 65534
READ_ALL = "-all,+dac_read_search"
"""Root's clone and its Python may lie where others cannot read: this right, and no other, is left."""
AS_NOBODY = (
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *(f"--bounding-set={READ_ALL}", f"--inh-caps={READ_ALL}", f"--ambient-caps={READ_ALL}"),
)


class OrdinaryUser:
    """Runs `calorimeter lab …` with a home of its own: as the user of the tests, or as nobody for root."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.name = f"user-{os.getpid()}"
        self.folder = home / ".local/state/calorimeter/labs" / self.name
        home.mkdir()
        self._prefix: tuple[str, ...] = ()
        if os.geteuid() == 0:
            os.chown(home, NOBODY, NOBODY)
            self._prefix = AS_NOBODY

    def lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command of this user's lab."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
        environment = {**kept, "HOME": str(self.home), "TMPDIR": str(self.home), "PYTHONPATH": str(CLONE)}
        command = [*self._prefix, sys.executable, "-m", "calorimeter", "lab", *words, "--name", self.name]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
            env=environment,
            cwd=self.home,
        )


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrdinaryUser]:
    """The user; whatever a test left of the lab goes."""
    if os.geteuid() == 0:
        monkeypatch.setenv("SUDO_UID", str(NOBODY))  # root reads the secrets of the user who called sudo
    # Not pytest's own folder, which belongs to root and which nobody may enter. Short: it has Unix sockets.
    with tempfile.TemporaryDirectory(prefix="cal-") as folder:
        Path(folder).chmod(0o755)
        user = OrdinaryUser(Path(folder) / "home")
        yield user
        user.lab("down")


def test_a_lab_of_an_ordinary_user_serves_and_goes_without_trace(user: OrdinaryUser) -> None:
    """REST and CFN create and delete a stack; every process is the user's; no fault needs root."""
    up = user.lab("up", "--rest", "1", "--cfn", "1", "--engines", "1")
    assert up.returncode == 0, up.stderr
    owners = {Path(f"/proc/{each.pid}").stat().st_uid for each in processes.running(user.folder)}
    assert owners == {NOBODY if os.geteuid() == 0 else os.geteuid()}
    lab = deployments.read(user.folder / "deployment.toml")
    rest_walk(lab)
    cfn_walk(lab)
    offered = {fault for part in lab.parts for fault in part.faults}
    assert offered == {"refuse-checks"} < set(HEALS)
    refused = user.lab("part", "rest-1", "unreachable")
    (line,) = refused.stderr.splitlines()
    assert (refused.returncode, "it needs root" in line) == (2, True)
    states = {part["state"] for part in json.loads(user.lab("status", "--json").stdout)[0]["parts"]}
    assert states == {"running"}
    down = user.lab("down")
    assert down.returncode == 0, down.stderr
    assert processes.running(user.folder) == []
    assert not user.folder.exists()
