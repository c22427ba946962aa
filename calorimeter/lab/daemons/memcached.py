"""memcached: the token cache of Heat and Keystone."""

from __future__ import annotations

import getpass

from calorimeter.lab.daemons import readiness
from calorimeter.lab.daemons.daemon import Daemon
from calorimeter.lab.lab_state import Lab


def daemon(lab: Lab) -> Daemon:
    """memcached, TCP only."""
    host, port = lab.host("memcached"), lab.port("memcached")
    return Daemon(
        part="memcached",
        argv=(
            *(str(lab.programs.memcached), "-l", host, "-p", str(port), "-U", "0"),
            # As root, memcached requires a user to run as.
            *("-m", "64", "-c", "4096", "-t", "2", "-u", getpass.getuser()),
        ),
        ready=lambda: readiness.accepts(host, port),
        deadline_s=15,
    )
