"""Commands that set the state of a server in HAProxy, by a stats socket with level admin."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from calorimeter.core.control.control_host import ControlHost

_ASK = (
    's.settimeout(10);s.sendall((sys.argv[-1]+"\\n").encode());'
    'a=b"".join(iter(lambda:s.recv(4096),b""));sys.exit(a.decode().strip() or 0)'
)
_UNIX = f"import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect(sys.argv[1]);{_ASK}"
_TCP = f"import socket,sys;s=socket.create_connection(sys.argv[1:3],10);{_ASK}"
"""Python, which every host has that a deployment tool based on Ansible manages. HAProxy answers nothing if
it did what it was asked; any answer is printed, and is a failure."""


@dataclass(frozen=True, slots=True)
class AdminSocket:
    """A stats socket with level admin: `where` is `unix:///PATH` or `tcp://HOST:PORT`, seen from `host`."""

    host: ControlHost
    where: str

    def set_state(self, section: str, server: str, state: str) -> str:
        """The command that sets a server to `drain` or `ready`."""
        url = urlsplit(self.where)
        words = (_UNIX, url.path) if url.scheme == "unix" else (_TCP, url.hostname or "", str(url.port))
        argv = ("python3", "-c", *words, f"set server {section}/{server} state {state}")
        return self.host.script(self.host.words(*argv))
