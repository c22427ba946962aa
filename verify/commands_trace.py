"""The command `trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from calorimeter import paths
from calorimeter.deployment import read as read_deployment
from calorimeter.errors import InputError

if TYPE_CHECKING:
    from verify.experiments.follow import Followed


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--wait", "wait_s", default=60.0, show_default=True, metavar="SECONDS",
              help="How long to wait for work that goes on after the command.")  # fmt: skip
@click.argument(
    "arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[DEPLOYMENT] -- COMMAND…"
)
@click.pass_context
def trace(ctx: click.Context, wait_s: float, arguments: tuple[str, ...]) -> int:
    """Run COMMAND against DEPLOYMENT and show the way of each of its requests.

    COMMAND gets the deployment's identity in OS_* (and AWS_*) and a proxy in http_proxy that learns
    the ports and request ids; it is not changed otherwise, and its output is its own. Shown are the
    backend, the API process and the engines, and what they did when. Through TLS a request's id
    cannot be seen. Needs [consent] level = "invasive": the broker's tracing is on meanwhile.

    Example: calorimeter trace deployment.toml -- openstack stack list

    Exit status: 0 every request was followed to its engines; 1 a link is missing, or the command failed;
    2 the input or the set-up cannot be used.
    """
    from verify.evidence.unavailable import EvidenceUnavailable
    from verify.experiments.follow import follow

    given, command = split(arguments)
    deployment = read_deployment(paths.deployment(given))
    try:
        followed = follow(deployment, command, wait_s=wait_s)
    except EvidenceUnavailable as problem:
        raise InputError(problem.where, problem.why) from problem
    for line in report(followed):
        click.echo(line)
    whole = not followed.hidden and all(not path.missing for path in followed.paths.paths)
    return 0 if whole and followed.status == 0 else 1


def split(arguments: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """A deployment file, where the first argument is one, and the command.

    Click drops a `--` that it meets first, so a deployment is told from a command by its name.
    """
    words = list(arguments)
    given = None
    if words[0].endswith(".toml"):
        given, words = words[0], words[1:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        raise InputError("trace", "no command given", "valid: trace DEPLOYMENT -- COMMAND…")
    return given, words


def report(followed: Followed) -> list[str]:
    """What is shown of a command: each request with its timeline, then what is missing."""
    from verify.timeline import timeline

    lines = []
    for path in followed.paths.paths:
        request = path.request
        at_s = (request.sent_ns - followed.started_ns) / 1e9
        lines += [
            "",
            f"{request.operation}  {request.request_id or '(no request id)'}  {at_s:.3f} s after start",
        ]
        lines += timeline(path, followed.names)
        lines += [f"  missing: {link}" for link in path.missing]
    lines += ["", _summary(followed)]
    lines += [f"doubt: {doubt}" for doubt in followed.doubts]
    return lines


def _summary(followed: Followed) -> str:
    asked = len(followed.paths.paths)
    whole = sum(1 for path in followed.paths.paths if not path.missing)
    text = f"{whole} of {asked} requests followed to their engines"
    if followed.elsewhere:
        text += f"; {followed.elsewhere} went elsewhere (Keystone, …)"
    if followed.hidden:
        text += f"; {followed.hidden} connections hidden by TLS"
    if not asked and not followed.hidden:
        text = "the command sent no request to the deployment's APIs through its http_proxy"
    return f"{text}; the command took {(followed.ended_ns - followed.started_ns) / 1e9:.1f} s"
