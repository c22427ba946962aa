"""Add and remove APIs and engines while the lab runs."""

from __future__ import annotations

from collections.abc import Callable

from calorimeter.core.errors import InputError
from calorimeter.lab import deployment_file, lab_state, lock, parts, ports, processes
from calorimeter.lab.daemons import daemon, haproxy, heat
from calorimeter.lab.lab_state import Lab


def resize(name: str, wanted: dict[str, int], say: Callable[[str], None]) -> Lab:
    """Resize the lab to the given numbers of `rest`, `cfn` and `engines`; the highest numbers are removed.

    New APIs join the proxy once they serve; removed APIs leave it first. Raises `InputError` and
    `DaemonError`; the lab is unchanged then.
    """
    with lock.held(lab_state.folder(name), 30):
        before = lab_state.open_lab(name)
        after = _grown(before, wanted)
        removed = [part for part in before.topology.heat_parts if part not in after.topology.heat_parts]
        new = [part for part in after.topology.heat_parts if part not in before.topology.heat_parts]
        lab_state.check_room(after.topology.processes - before.topology.processes, "lab scale")
        try:
            for proxy in after.topology.proxy_parts:
                if not processes.running(before.folder, proxy):
                    raise InputError(
                        f"lab {name}", f"{proxy} is not running", f"`lab part {proxy} start` first"
                    )
            _start(after, new, say)
            for proxy in after.topology.proxy_parts:
                haproxy.prepare(after, proxy)
                haproxy.reload(after, proxy)
        except BaseException:
            for part in new:
                processes.kill(after.folder, part)
            for proxy in before.topology.proxy_parts:
                haproxy.prepare(before, proxy)
            ports.release((after.port(part) for part in new if part in after.topology.ports), after.folder)
            raise
        lab_state.write(after.topology, after.folder)
        deployment_file.write(after)
        for part in removed:
            processes.terminate(after.folder, part, grace_s=parts.STOP_S)
            say(f"{part} removed")
        ports.release(
            (before.port(part) for part in removed if part in before.topology.ports), after.folder
        )
        return after


def _start(lab: Lab, new: list[str], say: Callable[[str], None]) -> None:
    launched = []
    for part in new:
        heat.prepare(lab, part)
        what = heat.daemon(lab, part)
        launched.append((what, daemon.launch(lab, what)))
    for what, process in launched:
        daemon.await_ready(lab, what, process)
        say(f"{what.part} is ready")


def _grown(before: Lab, wanted: dict[str, int]) -> Lab:
    """The resized lab, with ports for its new parts."""
    asked = before.topology.model_copy(update=wanted)
    known = {name: port for name, port in asked.ports.items() if name in asked.port_names}
    missing = [name for name in asked.port_names if name not in known]
    known |= before.layout.ports(missing) if before.layout else ports.reserve(missing, before.folder)
    return Lab(before.folder, asked.model_copy(update={"ports": known}), before.secrets, before.programs)
