"""The machine that commands of a part run on: this one, or one that is reached over ssh."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

OPTIONS = (
    *("-o", "BatchMode=yes"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "LogLevel=ERROR"),
)
"""No question is asked; a host that does not answer ends the command after 10 s, a dead connection after
20 s. Host keys are checked as the user's own ssh configuration says."""


@dataclass(frozen=True, slots=True)
class ControlHost:
    """A machine; `destination` is None for this one, `options` are further arguments of ssh.

    `netns` is the network namespace of this machine from which it is reached: whoever heals later may be
    in another one.
    """

    destination: str | None = None
    options: tuple[str, ...] = ()
    sudo: bool = False
    netns: str | None = None

    def words(self, *argv: str) -> str:
        """One command, as text of a script that runs there."""
        return shlex.join((*(("sudo", "-n") if self.sudo else ()), *argv))

    def script(self, text: str) -> str:
        """The shell command that runs a script there."""
        return self._ssh(text)

    def breaking(self, text: str) -> str:
        """As `script`, for a fault: the script ends as soon as its ssh does.

        A terminal (`-tt`) makes sshd end it with SIGHUP. Without one it would go on after the suite was
        killed, and could break the part after it was healed. The terminal has no colours (`TERM=dumb`).
        """
        return self._ssh(text, "-tt", "-o", "SetEnv=TERM=dumb")

    def _ssh(self, text: str, *more: str) -> str:
        within = ("nsenter", f"--net=/run/netns/{self.netns}", "--") if self.netns else ()
        if self.destination is not None:
            return shlex.join(
                (*within, "ssh", *more, *OPTIONS, *self.options, "--", self.destination, text)
            )
        return shlex.join((*within, "sh", "-c", text)) if within else text
