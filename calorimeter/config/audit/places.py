"""Whether hosts that two Heat files name are one machine, as far as files and resolved names tell."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.hosts import is_loopback, without_brackets


@dataclass(frozen=True, slots=True)
class Place:
    """A host: its name, and its addresses if they are known."""

    name: str
    addresses: frozenset[str]

    def same(self, other: Place) -> bool | None:
        """Whether both are one machine; None if that cannot be determined."""
        if self.name == other.name or self.addresses & other.addresses:
            return True
        return False if self.addresses and other.addresses else None


def place(subject: AuditedFiles, index: int, host: str) -> Place:
    """The host that the Heat file `index` names; loopback is the machine of that file."""
    host = without_brackets(host.strip()).lower().rstrip(".")
    if is_loopback(host) and not _one_machine(subject):
        host = subject.machines.get(index, "localhost")
    if host == "localhost" and _one_machine(subject):
        host = "127.0.0.1"
    try:
        host = str(ip_address(host))
    except ValueError:
        # A machine often resolves its own name as loopback, which says nothing to the others.
        resolved = subject.inputs.addresses.get(host, ())
        return Place(host, frozenset(each for each in resolved if not is_loopback(each)))
    return Place(host, frozenset({host}))


def _one_machine(subject: AuditedFiles) -> bool:
    """Whether all machines are loopback addresses: then each loopback address reaches the same one."""
    return all(is_loopback(machine) for machine in subject.machines.values())
