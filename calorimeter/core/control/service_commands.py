"""Scripts that act on a systemd unit or on a container, as the drivers of `[control]` write them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from calorimeter.core.control.control_host import ControlHost

STATUS = "{{.State.Status}}"
PID = "{{.State.Pid}}"

NOW = "echo at_ns=now"
"""Says that a fault takes effect now; printed twice, in between (`shell_command.run`)."""


def timed(action: str) -> str:
    """An action that says when it is done."""
    return f"{NOW} && {action} && {NOW}"


@dataclass(frozen=True, slots=True)
class ServiceCommands:
    """Scripts for one service. Those that break it fail if it does not run; the others may run repeatedly.

    `kill` also tells what supervises the service that it is to stay down: else it would be restarted.
    `group` prints its cgroup, below the root of cgroup v2.
    """

    kill: str
    stop: str
    start: str
    freeze: str
    thaw: str
    group: str


def systemd_unit(host: ControlHost, unit: str) -> ServiceCommands:
    """The scripts for a systemd unit.

    `systemctl stop` after SIGKILL cancels the restart that `Restart=` has scheduled. `reset-failed` clears
    the count of starts (`StartLimitBurst`), so that a unit which is broken often still starts.
    """

    def systemctl(*words: str) -> str:
        return host.words("systemctl", *words, unit)

    active = systemctl("is-active")
    return ServiceCommands(
        kill=f"{active} && {timed(systemctl('kill', '--signal=SIGKILL'))} && {systemctl('stop')}",
        stop=f"{active} && {NOW} && {systemctl('stop')}",
        start=f"{systemctl('reset-failed')}; {systemctl('start')}",
        freeze=f"{active} && {timed(systemctl('kill', '--signal=SIGSTOP'))}",
        thaw=systemctl("kill", "--signal=SIGCONT"),
        group=systemctl("show", "--property=ControlGroup", "--value"),
    )


def container(host: ControlHost, program: str, name: str, supervisor: str | None) -> ServiceCommands:
    """The scripts for a container of podman or docker.

    `supervisor` is the systemd unit that starts the container again when it ends; without one, stopping the
    container stops its restart policy.
    """

    def run(*words: str) -> str:
        return host.words(program, *words, name)

    def inspect(what: str) -> str:
        return host.words(program, "container", "inspect", "--format", what, name)

    unit = systemd_unit(host, supervisor) if supervisor else None
    stop = host.words("systemctl", "stop", supervisor) if supervisor else run("stop")
    running = f's=$({inspect(STATUS)}) && echo "$s" && [ "$s" = running ]'
    return ServiceCommands(
        kill=f"{running} && {timed(run('kill', '--signal=SIGKILL'))} && {stop}",
        stop=f"{running} && {NOW} && {stop}",
        start=unit.start if unit else run("start"),
        freeze=f"{running} && {timed(run('pause'))}",
        thaw=f's=$({inspect(STATUS)}) && if [ "$s" = paused ]; then {run("unpause")}; fi',
        group=f"sed -n {shlex.quote('s/^0:://p')} /proc/$({inspect(PID)})/cgroup",
    )
