"""The programs a lab is made of: where they are, or which packages are missing."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]

# Debian's own rabbitmq-server in /usr/sbin changes to the user rabbitmq; the script it wraps does not.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

PACKAGES = {
    "haproxy": "haproxy",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "memcached": "memcached",
    "ss": "iproute2",
    "erl": "rabbitmq-server",
}
"""Program → the Debian or Ubuntu package that has it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Absolute paths of the lab's programs."""

    haproxy: Path
    mariadbd: Path
    mariadb_install_db: Path
    memcached: Path
    rabbitmq: Path
    heat_venv: Path

    def heat(self, program: str) -> str:
        """A program of Heat's own environment (`heat-engine`, `keystone-manage`, …)."""
        return str(self.heat_venv / "bin" / program)


def _setup() -> str:
    """What installs all of it: it is there in a clone only."""
    if (REPOSITORY / "bin" / "setup").exists():
        return "run bin/setup"
    return "the lab needs a clone of Calorimeter's repository: run bin/setup there"


def search_path() -> str:
    """$PATH with the folders of system programs, which a user's often lacks."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def heat_venv() -> Path:
    """Heat's environment: `$CALORIMETER_HEAT_VENV`, or `.venv-heat` of the clone.

    Raises `InputError` where it is not there.
    """
    path = Path(os.environ.get("CALORIMETER_HEAT_VENV") or REPOSITORY / ".venv-heat").absolute()
    if not (path / "bin" / "heat-engine").exists() or not (path / "bin" / "keystone-manage").exists():
        raise InputError(
            str(path), "has no Heat and Keystone", f"{_setup()}, or set $CALORIMETER_HEAT_VENV"
        )
    return path


def found() -> Programs:
    """All programs; raises `InputError` naming the packages to install where one is missing."""
    where = {program: shutil.which(program, path=search_path()) for program in PACKAGES}
    missing = {PACKAGES[program] for program, path in where.items() if path is None}
    if not RABBITMQ.exists():
        missing.add("rabbitmq-server")
    if missing:
        packages = " ".join(sorted(missing))
        raise InputError("lab", f"missing {packages}", f"{_setup()}, or: sudo apt-get install {packages}")
    paths = {program: Path(path) for program, path in where.items() if path is not None}
    return Programs(
        haproxy=paths["haproxy"],
        mariadbd=paths["mariadbd"],
        mariadb_install_db=paths["mariadb-install-db"],
        memcached=paths["memcached"],
        rabbitmq=RABBITMQ,
        heat_venv=heat_venv(),
    )
