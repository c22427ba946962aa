"""The health check of a lab's APIs: Heat's own, or one that pings the engines by RPC."""

from __future__ import annotations

import tomllib
from pathlib import Path

from calorimeter.config.heat.heat_conf_writer import Sections
from calorimeter.core import files
from calorimeter.lab.lab_state import Lab, write_private

SOURCE = Path(__file__).parents[1] / "rpc_health"

PING_S = 1.2
"""Time limit of a ping; below the proxy's `timeout check`, so that the API itself reports the reason."""

TIMEOUT_CHECK = "1500ms"
"""The proxy's `timeout check` for that health check; detection stays within `max_detection_s`."""


def refusal(lab: Lab, part: str) -> Path:
    """The file whose presence makes an API refuse its health checks."""
    return lab.folder / "heat" / f"{part}.refuse"


def sections(lab: Lab, part: str) -> Sections:
    """Sections that the health check adds to a part's heat.conf."""
    rpc = lab.topology.health == "rpc"
    if part in lab.topology.engine_parts:
        return {"DEFAULT": {"rpc_ping_enabled": True}} if rpc else {}
    backends = "disable_by_file,rpc_ping" if rpc else "disable_by_file"
    ping: dict[str, str | int | bool] = {"rpc_ping_timeout": str(PING_S)} if rpc else {}
    return {"healthcheck": {"backends": backends, "disable_by_file_path": str(refusal(lab, part)), **ping}}


def environment(lab: Lab) -> dict[str, str]:
    """Environment in which an API finds the plugin, as if it were installed with pip."""
    if lab.topology.health != "rpc":
        return {}
    # The list of plugins is the lab's own, then, too.
    return {"PYTHONPATH": str(_plugins(lab)), "XDG_CACHE_HOME": str(lab.folder / "cache")}


def _plugins(lab: Lab) -> Path:
    return lab.folder / "plugins"


def install(lab: Lab) -> None:
    """Install the plugin for the lab's APIs, if it needs one."""
    folder = _plugins(lab)
    if lab.topology.health != "rpc" or folder.exists():
        return
    project = tomllib.loads(files.read_text(SOURCE / "pyproject.toml"))["project"]
    name = project["name"].replace("-", "_")
    metadata = folder / f"{name}-{project['version']}.dist-info"
    files.make_folder(metadata)
    write_private(folder / f"{name}.py", files.read_text(SOURCE / f"{name}.py"))
    write_private(
        metadata / "METADATA",
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n",
    )
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items())
        for group, names in project["entry-points"].items()
    ]
    write_private(metadata / "entry_points.txt", "\n".join(lines))
