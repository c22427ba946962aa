"""A lab whose evidence is elsewhere than usual: a log file, and a stats page with a password."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from calorimeter.config import deployment_writer
from calorimeter.config.haproxy.haproxy_writer import ListenSection, ProxyConfig
from calorimeter.core.deployment import Deployment
from calorimeter.lab.lab_state import Lab
from calorimeter.lab.sabotage import proxy_sabotage as sabotages

USER = "watcher"
PASSWORD = "s3cr3t-of-the-page"


@contextmanager
def elsewhere(lab: Deployment, folder: Path) -> Iterator[Path]:
    """The lab with its proxy logging to a file and showing its figures on a page; its deployment file."""
    log, page = folder / "haproxy.log", _free_port()
    with syslog(log) as port:

        def change(_: Lab, config: ProxyConfig) -> ProxyConfig:
            lines = ("mode http", "stats enable", "stats uri /stats", f"stats auth {USER}:{PASSWORD}")
            shown = ListenSection(
                name="figures", bind=(f"127.0.0.1:{page}",), servers=(), balance="roundrobin", options=(),
                lines=(*lines, "no log"),
            )  # fmt: skip
            return replace(config, log=f"127.0.0.1:{port} local0", listens=(*config.listens, shown))

        sabotages.vary(lab.name, change)
        try:
            yield _description(lab, folder, log, f"http://127.0.0.1:{page}/stats")
        finally:
            sabotages.heal(lab.name)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def syslog(file: Path) -> Iterator[int]:
    """As syslog does: each datagram to a port becomes a line of a file."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiving, file.open("ab", 0) as lines:
        receiving.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        receiving.bind(("127.0.0.1", 0))

        def write() -> None:
            while datagram := receiving.recv(65536):
                lines.write(datagram.rstrip(b"\n") + b"\n")

        writing = threading.Thread(target=write, daemon=True)
        writing.start()
        host, port = receiving.getsockname()
        try:
            yield port
        finally:
            receiving.sendto(b"", (host, port))
            writing.join()


def _description(lab: Deployment, folder: Path, log: Path, page: str) -> Path:
    secrets = json.dumps(str(lab.path.parent / "secrets.toml"))
    tree = lab.model_dump(mode="json", exclude_none=True)
    tree["proxy"][0] |= {
        "logs": [f"file://{log}"], "stats": [page], "stats_user": USER, "stats_password": {"env": "PAGE"},
    }  # fmt: skip
    file = folder / "deployment.toml"
    deployment_writer.write(Deployment.model_validate_json(json.dumps(tree)), file)
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace('"secrets.toml"', secrets), encoding="utf-8")
    return file
