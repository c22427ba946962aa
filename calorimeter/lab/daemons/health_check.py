"""The health check that a lab's APIs answer: Heat's own, or one that pings the engines by RPC."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

from calorimeter.config.heat.heat_conf_writer import Sections
from calorimeter.lab.topology import Lab

SOURCE = Path(__file__).parents[1] / "rpc_health"

PING_S = 1.2
"""Time for a ping; below the proxy's `timeout check`, so that the API itself says what is wrong."""

TIMEOUT_CHECK = "1500ms"
"""`timeout check` of a proxy that asks for it: within `max_detection_s` all the same."""


def refusal(lab: Lab, part: str) -> Path:
    """The file that makes an API refuse its health checks while it is there."""
    return lab.folder / "heat" / f"{part}.refuse"


def sections(lab: Lab, part: str) -> Sections:
    """What the health check adds to an API's heat.conf, and to an engine's."""
    rpc = lab.topology.health == "rpc"
    if part in lab.topology.engine_parts:
        return {"DEFAULT": {"rpc_ping_enabled": True}} if rpc else {}
    backends = "disable_by_file,rpc_ping" if rpc else "disable_by_file"
    ping: dict[str, str | int | bool] = {"rpc_ping_timeout": str(PING_S)} if rpc else {}
    return {"healthcheck": {"backends": backends, "disable_by_file_path": str(refusal(lab, part)), **ping}}


def environment(lab: Lab) -> dict[str, str]:
    """Where an API finds the plugin: as if it had been installed with pip."""
    if lab.topology.health != "rpc":
        return {}
    folder = lab.folder / "plugins"
    if not folder.exists():
        _install(folder)
    return {"PYTHONPATH": str(folder)}


def _install(folder: Path) -> None:
    project = tomllib.loads((SOURCE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    name = project["name"].replace("-", "_")
    told = folder / f"{name}-{project['version']}.dist-info"
    told.mkdir(mode=0o700, parents=True)
    shutil.copy(SOURCE / f"{name}.py", folder)
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in names.items())
        for group, names in project["entry-points"].items()
    ]
    (told / "entry_points.txt").write_text("\n".join(lines))
