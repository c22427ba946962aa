"""Free ports for labs, below the kernel's ephemeral range; no port or name is given to two labs.

The registry is one for all state folders of a user: namespaces and tables of packet rules are named after
their lab, and a lab must not remove those of another that has its name in another state folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.bounds import is_digits
from calorimeter.core.errors import InputError
from calorimeter.core.host import ownership

LOWEST, HIGHEST = 20000, 32000


@dataclass(frozen=True, slots=True)
class ListeningSocket:
    """A listening TCP socket in the kernel's table."""

    address: str
    port: int
    inode: int


def reserve(
    names: Iterable[str], owner: Path, wanted: Mapping[str, int] | None = None, udp: Iterable[str] = ()
) -> dict[str, int]:
    """Reserve a free port for each name, the `wanted` ones first, until the folder `owner` is removed.

    Raises `InputError` if a wanted port is taken.
    """
    wanted = wanted or {}
    with _registry() as registry:
        chosen: dict[str, int] = {}
        listeners = {listener.port for listener in listening()}
        for name in sorted(names, key=lambda name: name not in wanted):
            kind = socket.SOCK_DGRAM if name in udp else socket.SOCK_STREAM
            if name in wanted:
                port = wanted[name]
                holder = registry.get(str(port))
                if holder is not None or not _is_free(port, kind, listeners) or port in chosen.values():
                    by = f" by the lab in {holder}" if holder else ""
                    raise InputError(f"--{name}-port", f"{port} is taken{by}", "valid: a free TCP port")
            else:
                port = _any_free(registry, kind, listeners)
            chosen[name] = port
            registry[str(port)] = str(owner)
        return chosen


def claim_name(owner: Path) -> None:
    """Note that the lab in the folder `owner` has its name, until that folder is removed."""
    with _registry() as registry:
        registry[_name_key(owner)] = str(owner)


def name_holder(owner: Path) -> Path:
    """The folder of the lab that has the name of the one in `owner`: `owner` itself if no other has it."""
    with _registry() as registry:
        return Path(registry.get(_name_key(owner), str(owner)))


def holds_name(owner: Path) -> bool:
    """Whether namespaces and tables with that name are not those of a lab in another state folder."""
    return name_holder(owner) == owner


def _name_key(owner: Path) -> str:
    return f"lab {owner.name}"


def reserved(owner: Path) -> list[int]:
    """The ports that are reserved for the lab in the folder `owner`."""
    with _registry() as registry:
        return [int(key) for key, folder in registry.items() if folder == str(owner) and is_digits(key)]


def release(ports: Iterable[int], owner: Path) -> None:
    """Release ports."""
    with _registry() as registry:
        for port in ports:
            if registry.get(str(port)) == str(owner):
                del registry[str(port)]


def _any_free(registry: Mapping[str, str], kind: int, listeners: set[int]) -> int:
    span = HIGHEST - LOWEST
    offset = random.randrange(span)
    for step in range(span):
        port = LOWEST + (offset + step) % span
        if str(port) not in registry and _is_free(port, kind, listeners):
            return port
    raise InputError("lab", f"no port from {LOWEST} to {HIGHEST} is free", "take other labs down first")


def _is_free(port: int, kind: int, listeners: set[int]) -> bool:
    # Bind all addresses, so that a listener on any of them counts.
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # Connections of a lab that just went down linger for a minute; only a listener matters.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104
        except OSError:
            return False
    return kind != socket.SOCK_STREAM or port not in listeners


@contextmanager
def _registry() -> Iterator[dict[str, str]]:
    """The ports and names reserved by this user's labs in any state folder: port or name → owner."""
    folder = Path(tempfile.gettempdir()) / f"calorimeter-{os.getuid()}"
    ownership.own(files.make_folder(folder), folder)  # others may write where it is
    file = folder / "ports.json"
    with files.append(folder / "ports.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            registry = files.read_json(file)
        except InputError:
            registry = {}
        known = registry.items() if isinstance(registry, dict) else ()
        kept = {port: str(owner) for port, owner in known if os.path.exists(str(owner))}  # noqa: PTH110
        yield kept
        files.write(file, json.dumps(kept), mode=files.PRIVATE)


def listening() -> list[ListeningSocket]:
    """All listening TCP sockets of this network namespace, from `/proc/self/net/tcp` and `tcp6`."""
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A":
                host, _, port = fields[1].partition(":")
                found.append(ListeningSocket(_address(host), int(port, 16), int(fields[9])))
    return found


def _address(text: str) -> str:
    # 32-bit words in the machine's byte order; every supported machine is little-endian.
    words = b"".join(bytes.fromhex(text[i : i + 8])[::-1] for i in range(0, len(text), 8))
    return str(IPv4Address(words) if len(words) == 4 else IPv6Address(words))
