"""The token that makes a process one of a master's workers, and the keys that are derived from it.

Workers that Locust starts itself (`--processes`) inherit the token of their master's process. All others
read it from a file that the master makes. It is never on a command line, where `ps` shows it.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import secrets
import socket
from contextlib import suppress
from pathlib import Path

import zmq
from zmq.utils import z85

from calorimeter.core import files
from calorimeter.core.errors import InputError
from calorimeter.core.host import ownership

OPTION = "--token-file"

_TOKEN = re.compile(rb"[\x21-\x7e]{32,512}")


class WorkerToken:
    """The token of this process. `file` is where it is kept, None if it is only inherited."""

    def __init__(self) -> None:
        self.file: Path | None = None
        self._made = secrets.token_urlsafe(32).encode()
        self._maker = os.getpid()

    def of_master(self, host: str) -> bytes:
        """The token of a master that listens on `host`; makes the file if it does not exist.

        Raises InputError if workers on other machines could connect, but could not have the token.
        """
        if self.file is None:
            if not is_loopback(host):
                raise InputError(
                    f"--master-bind-host {host}",
                    "other machines can connect, but no worker there has the token of this run",
                    f"give {OPTION} FILE here, and a copy of the file to each worker",
                )
            return self._made
        with suppress(files.MissingFileError):
            return self._read()
        with files.create(self.file) as file:
            file.write(self._made + b"\n")
        return self._made

    def of_worker(self) -> bytes:
        """The token of a worker. Raises InputError if it has none."""
        if self.file is not None:
            return self._read()
        if os.getpid() == self._maker:
            raise InputError("--worker", "has no token", f"give {OPTION} FILE, a copy of the master's")
        return self._made

    def _read(self) -> bytes:
        assert self.file is not None
        token = files.read(self.file, limit=1024).strip()
        ownership.require_private(self.file)
        if not _TOKEN.fullmatch(token):
            valid = "valid: 32 or more letters and digits, as a master makes them"
            raise InputError(str(self.file), "is not a token file", valid)
        return token


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine can connect to a socket that listens on `host`."""
    if host in ("", "*"):  # resolvers have opinions on these
        return False
    with suppress(OSError, ValueError):
        found = socket.getaddrinfo(host.strip("[]"), 0)
        return all(ipaddress.ip_address(each[4][0]).is_loopback for each in found)
    return False


def key_pair(token: bytes, of: str) -> tuple[bytes, bytes]:
    """The public and the secret key (CurveZMQ) of the `master` or of each `worker`, from their token.

    Raises InputError if this ZeroMQ cannot encrypt.
    """
    secret = z85.encode(hmac.digest(token, f"calorimeter {of}".encode(), "sha256"))
    if not zmq.has("curve"):
        raise InputError("pyzmq", "was built without CurveZMQ", "valid: pyzmq's own wheels have it")
    return zmq.curve_public(secret), secret
