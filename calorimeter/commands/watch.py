"""`calorimeter watch`: records what a deployment shows of itself, or shows it as a page."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from signal import SIGINT, SIGTERM

import click

from calorimeter.commands.options import FILE, RUNS_OPTION
from calorimeter.commands.param_types import NumberParam
from calorimeter.commands.web_option import DEFAULT, ListenParam, WebCommand
from calorimeter.core import bounds, files, paths
from calorimeter.core.deployment import Address
from calorimeter.core.deployment import read as read_deployment
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns, signal_handlers
from calorimeter.core.recorded.rundir import RunDir


@click.command(cls=WebCommand)
@click.argument("run", type=FILE, required=False)
@click.option("--deployment", type=FILE,
              help="Deployment file (default: the copy in RUN; without RUN $CALORIMETER_DEPLOYMENT, "
              "./deployment.toml, or that of the only lab).")  # fmt: skip
@RUNS_OPTION
@click.option(
    "--every",
    type=NumberParam(bounds.POLL),
    default=1.0,
    show_default=True,
    help="Seconds between two polls.",
)
@click.option("--web", type=ListenParam(),
              help=f"Page of the figures, at {DEFAULT} if no address is given, "
              "with /metrics for Prometheus (default: no page).")  # fmt: skip
@click.option("--live", is_flag=True, hidden=True, help="Keep watch/live.json, for Locust's page.")
def watch(
    run: Path | None, deployment: Path | None, runs: Path, every: float, web: Address | None, live: bool
) -> None:
    """Show a deployment as it is now, or record its counters. It changes nothing and sends no load.

    With --web it polls the proxy and the broker, shows them as a page and for Prometheus, and records them
    in a new run folder, until Ctrl-C. The page also shows the faults that are injected into the deployment,
    and the verdicts of gates that run at the same time with the same --runs.

    With --web and RUN, a run folder that another command records, it shows that run and records nothing.
    Give --deployment, too, to see faults.

    With RUN alone it records the proxy's and the broker's counters in RUN until standard input is closed;
    `calorimeter run` and the locustfile start it so.

    Exit status: 0 it was ended, by Ctrl-C, too; 2 it could not begin.
    """
    if web is not None and run is not None:
        _show(web, run, deployment)
    elif web is not None:
        _show_and_record(web, deployment, runs, every)
    elif run is not None:
        _record(run, deployment, every, live)
    else:
        raise InputError("RUN", "is missing", "valid: a run folder, or --web for a page")


def _record(run: Path, deployment: Path | None, every_s: float, live: bool) -> None:
    from calorimeter.gates.evidence.load_recorder import LoadRecorder

    folder = RunDir.open(run)
    described = netns.enter_client_netns(read_deployment(deployment) if deployment else folder.deployment())
    with ExitStack() as stack:
        if live:
            from calorimeter.live.live_view import LiveView
            from calorimeter.live.live_watch import FILE, LiveWatch

            shown = LiveWatch(folder.path, described, time.time_ns(), every_s)
            stack.enter_context(LiveView(shown, folder.path / FILE).kept())
        LoadRecorder(described, folder.path / "watch", every_s).until_closed(sys.stdin)


def _show(at: Address, run: Path, deployment: Path | None) -> None:
    from calorimeter.live import live_server
    from calorimeter.live.live_site import LiveSite
    from calorimeter.live.live_view import LiveView
    from calorimeter.live.live_watch import LiveWatch

    folder = RunDir.open(run)
    if "ended" in folder.about:
        raise InputError(str(run), "has ended", f"valid: a run in progress; see `calorimeter report {run}`")
    described = read_deployment(deployment) if deployment else folder.deployment()
    view = LiveView(LiveWatch(folder.path, described, time.time_ns()))
    stopped = threading.Event()
    with (
        signal_handlers.calling(stopped.set, SIGINT, SIGTERM),
        view.kept(ended=partial(_has_ended, folder)),
        live_server.listening(at, "--web") as on,
        live_server.served(LiveSite(view.newest), on),
    ):
        live_server.announce(at)
        stopped.wait()


def _has_ended(run: RunDir) -> bool:
    try:
        return "ended" in run.about
    except InputError:  # somebody removes the run
        return True


def _show_and_record(at: Address, deployment: Path | None, runs: Path, every_s: float) -> None:
    from calorimeter.gates.evidence.load_recorder import LoadRecorder
    from calorimeter.live import live_server
    from calorimeter.live.live_site import LiveSite
    from calorimeter.live.live_view import LiveView
    from calorimeter.live.live_watch import LiveWatch

    described = read_deployment(paths.deployment(deployment))
    files.make_folder(runs)
    end, stop = os.pipe()
    with live_server.listening(at, "--web") as on, os.fdopen(end) as ending:
        netns.enter_client_netns(described)  # the page stays outside
        folder = RunDir.create(described, runs=runs, name="watch")
        folder.note_command()
        recorder = LoadRecorder(described, folder.path / "watch", every_s)
        view = LiveView(LiveWatch(folder.path, described, time.time_ns(), every_s))
        with (
            signal_handlers.calling(partial(os.close, stop), SIGINT, SIGTERM),
            view.kept(),
            live_server.served(LiveSite(view.newest), on),
        ):
            live_server.announce(at)
            recorder.until_closed(ending)
    folder.note(ended=datetime.now(UTC).isoformat())
    click.echo(f"run: {folder.path}")
