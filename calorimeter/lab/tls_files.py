"""A lab's certificate, its key, and the authority's certificate: where they are, and TLS with them.

They are copies in a folder of the lab: a remade authority must not change a lab that runs.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from calorimeter.core import files

DOMAIN = "calorimeter.test"
"""The domain of the labs' names; RFC 6761 reserves `test`, so that no such name is ever public."""


def server_name(lab: str) -> str:
    """The DNS name of a lab's servers, which the proxy expects of its backends."""
    return f"{lab}.{DOMAIN}"


def ca_file(folder: Path) -> Path:
    """The certificate of the authority, for clients."""
    return folder / "ca.pem"


def certificate(folder: Path) -> Path:
    """The certificate of the lab's servers."""
    return folder / "server.pem"


def key(folder: Path) -> Path:
    """Its key (mode 600), with the name under which HAProxy looks for it."""
    return folder / "server.pem.key"


def write(folder: Path, lab: str, addresses: Iterable[str]) -> tuple[bool, datetime]:
    """Write a new certificate for the servers of a lab at these addresses, and the authority's.

    Returns whether the authority was made for it, and when it expires. Raises as `authority.own`.
    """
    from calorimeter.lab import authority  # slow to import, and only `lab up` needs it

    files.make_folder(folder)
    own = authority.own()
    issued = authority.issue(own, lab, addresses)
    files.write(ca_file(folder), own.pem)
    files.write(certificate(folder), issued.certificate)
    files.write(key(folder), issued.key, mode=files.PRIVATE)
    return own.made, own.expires


def client_context(folder: Path) -> ssl.SSLContext:
    """How a client verifies the lab's servers."""
    return ssl.create_default_context(cafile=ca_file(folder))


def server_context(folder: Path) -> ssl.SSLContext:
    """How a server of the lab shows its certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate(folder), key(folder))
    return context
