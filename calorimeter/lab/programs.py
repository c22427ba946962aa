"""Paths of the programs that a lab runs, and the packages that provide them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.lab import heat_environments
from calorimeter.lab.heat_environments import WITH_KEYSTONE
from calorimeter.lab.lab_topology import Release

REPOSITORY = Path(__file__).resolve().parents[2]

# Debian's /usr/sbin/rabbitmq-server changes to the user rabbitmq; the script that it wraps does not.
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")

PACKAGES = {
    "haproxy": "haproxy",
    "mariadbd": "mariadb-server",
    "mariadb-install-db": "mariadb-server",
    "memcached": "memcached",
    "ss": "iproute2",
    "erl": "rabbitmq-server",
    "epmd": "rabbitmq-server",
}
"""Program → Debian or Ubuntu package that provides it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """Absolute paths of the lab's programs."""

    haproxy: Path
    mariadbd: Path
    mariadb_install_db: Path
    memcached: Path
    rabbitmq: Path
    heat_venv: Path

    def heat(self, program: str, release: Release = WITH_KEYSTONE) -> str:
        """Path of a program in a release's environment (`heat-engine`; in Heat 24's also Keystone's)."""
        return str(self.environment(release) / "bin" / program)

    def environment(self, release: Release) -> Path:
        """The environment of a release of Heat; `heat_environments` makes those after 24."""
        return self.heat_venv if release == WITH_KEYSTONE else heat_environments.made(release)


def _setup() -> str:
    """The instruction that installs everything; bin/setup exists in a clone only."""
    if (REPOSITORY / "bin" / "setup").exists():
        return "run bin/setup"
    return "the lab needs a clone of Calorimeter's repository: run bin/setup there"


def search_path() -> str:
    """$PATH plus the folders of system programs, which a user's $PATH often lacks."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/bin", "/sbin", "/bin"))


def heat_venv() -> Path:
    """Heat's environment: `$CALORIMETER_HEAT_VENV`, or `.venv-heat` of the clone.

    Raises `InputError` if it has no Heat and Keystone.
    """
    path = Path(os.environ.get("CALORIMETER_HEAT_VENV") or REPOSITORY / ".venv-heat").absolute()
    if not (path / "bin" / "heat-engine").exists() or not (path / "bin" / "keystone-manage").exists():
        raise InputError(
            str(path), "has no Heat and Keystone", f"{_setup()}, or set $CALORIMETER_HEAT_VENV"
        )
    return path


def keepalived() -> Path:
    """keepalived, for a pair of proxies. Raises `InputError` if it or its check's curl is missing."""
    paths = {program: shutil.which(program, path=search_path()) for program in ("keepalived", "curl")}
    _check_packages({program for program, path in paths.items() if path is None})
    return Path(str(paths["keepalived"]))


def found(haproxy: Path | None = None, rabbitmq: Path | None = None) -> Programs:
    """All programs, with the user's own `haproxy` and `rabbitmq` in place of the system's.

    Raises `InputError` with the packages to install if one is missing.
    """
    paths = {program: shutil.which(program, path=search_path()) for program in PACKAGES}
    if haproxy is not None:
        paths["haproxy"] = str(haproxy)
    missing = {PACKAGES[program] for program, path in paths.items() if path is None}
    if rabbitmq is None and not RABBITMQ.exists():
        missing.add("rabbitmq-server")
    _check_packages(missing)
    known = {program: Path(path) for program, path in paths.items() if path is not None}
    return Programs(
        haproxy=known["haproxy"],
        mariadbd=known["mariadbd"],
        mariadb_install_db=known["mariadb-install-db"],
        memcached=known["memcached"],
        rabbitmq=rabbitmq or RABBITMQ,
        heat_venv=heat_venv(),
    )


def _check_packages(missing: set[str]) -> None:
    if missing:
        packages = " ".join(sorted(missing))
        raise InputError("lab", f"missing {packages}", f"{_setup()}, or: sudo apt-get install {packages}")
