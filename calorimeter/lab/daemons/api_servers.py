"""What serves an API: Heat's own program (eventlet, up to Heat 24), gunicorn or uWSGI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from calorimeter.lab import tls_options
from calorimeter.lab.lab_state import Lab, write_private
from calorimeter.lab.lab_topology import Server

PROGRAMS = {"rest": "heat-api", "cfn": "heat-api-cfn"}
"""API → Heat's own program, whose name its options and its connections to RabbitMQ also have under WSGI."""

_APPLICATIONS = {"rest": "heat.wsgi.api", "cfn": "heat.wsgi.cfn"}

_APPLICATION = """\
# Heat parses sys.argv at start-up: it must see its own options, not those of the WSGI server.
import sys

sys.argv = ["{program}", "--config-file={conf}"]

from {application} import application
"""

_THREADS = 64
"""Threads of an API. A call that waits for an engine holds one for up to `rpc_response_timeout`: without
engines 5 calls a second (gate E8) hold 50 at each of two APIs for 20 s. With 16 the proxy's health checks
wait behind them, the APIs go DOWN, and clients get no answer at all (seen with Heat 27, E7 and E8)."""

_KEEP_ALIVE_S = 30

STOP_S = 10
"""Seconds that calls in flight have to end in after SIGTERM."""


def prepare(lab: Lab, part: str, api: str, conf: Path) -> None:
    """Write the module that a WSGI server loads an API from."""
    if lab.topology.server(part) != "eventlet":
        text = _APPLICATION.format(program=PROGRAMS[api], conf=conf, application=_APPLICATIONS[api])
        write_private(conf.with_name(f"{_module(part)}.py"), text)


def command(lab: Lab, part: str, api: str, conf: Path) -> tuple[str, ...]:
    """The command that serves an API."""
    return _COMMANDS[lab.topology.server(part)](lab, part, api, conf)


def _module(part: str) -> str:
    return part.replace("-", "_")


def _program(lab: Lab, part: str, program: str) -> str:
    return lab.programs.heat(program, lab.topology.release(part))


def _eventlet(lab: Lab, part: str, api: str, conf: Path) -> tuple[str, ...]:
    return _program(lab, part, PROGRAMS[api]), f"--config-file={conf}"


def _gunicorn(lab: Lab, part: str, api: str, conf: Path) -> tuple[str, ...]:
    home = str(conf.parent)
    return (
        _program(lab, part, "gunicorn"),
        "--no-control-socket",
        *("--bind", lab.address(part), *tls_options.gunicorn(lab)),
        *("--worker-class", "gthread", "--workers", "1", "--threads", str(_THREADS)),
        *("--timeout", "120", "--keep-alive", str(_KEEP_ALIVE_S), "--graceful-timeout", str(STOP_S)),
        *("--worker-tmp-dir", home, "--chdir", home, f"{_module(part)}:application"),
    )


def _uwsgi(lab: Lab, part: str, api: str, conf: Path) -> tuple[str, ...]:
    """uWSGI with its HTTP router, which keeps connections alive.

    Without the router (`--http-socket`) each answer closes its connection, and one to a request whose body
    the application has not read resets it.
    """
    home, socket = str(conf.parent), str(conf.with_name(f"{part}.uwsgi"))
    return (
        _program(lab, part, "uwsgi"),
        *("--http", lab.address(part), "--http-to", socket, "--socket", socket, "--vacuum"),
        *(f"--http-keepalive={_KEEP_ALIVE_S}", "--http-auto-chunked", "--http-timeout", "120"),
        *("--master", "--processes", "1", "--threads", str(_THREADS), "--lazy-apps", "--need-app"),
        # A token makes headers of more than the default of 4 KiB.
        *("--buffer-size", "65535", "--listen", "128", "--disable-logging"),
        # SIGTERM ends calls in flight before the worker, as deployers set it.
        *("--die-on-term", "--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
        *("--worker-reload-mercy", str(STOP_S)),
        *("--chdir", home, "--module", f"{_module(part)}:application"),
    )


_COMMANDS: dict[Server, Callable[[Lab, str, str, Path], tuple[str, ...]]] = {
    "eventlet": _eventlet,
    "gunicorn": _gunicorn,
    "uwsgi": _uwsgi,
}
