"""The hosts that Heat files name, as all machines would write them."""

from __future__ import annotations

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.hosts import as_address, is_loopback, without_brackets


def place(subject: AuditedFiles, index: int, host: str) -> str:
    """The host that the Heat file `index` names; loopback is the machine of that file, if it is known.

    If everything is on one machine, each loopback address reaches the same one.
    """
    host = without_brackets(host.strip()).lower().rstrip(".")
    machines = subject.machines.values()
    if is_loopback(host) and not (machines and all(map(is_loopback, machines))):
        host = subject.machines.get(index, "localhost")
    elif host == "localhost":
        host = "127.0.0.1"
    return as_address(host) or host
