"""The command `trace`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calorimeter.commands import otlp_output
from calorimeter.commands.options import FILE
from calorimeter.commands.param_types import DurationParam
from calorimeter.core import bounds, shown_text
from calorimeter.core.errors import InputError
from calorimeter.core.host import netns
from calorimeter.core.recorded.rundir import RunDir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from calorimeter.core.deployment import Deployment
    from calorimeter.gates.request_path.follow import FollowedCommand
    from calorimeter.gates.request_path.path import RequestPath, RequestPaths

ARGUMENTS = "[DEPLOYMENT] -- COMMAND… | RUN [REQUEST_ID]"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--wait", "wait_s", type=DurationParam(bounds.WAIT), default=60.0, show_default=True,
              help="Longest wait for the engines' work to end after the command.")  # fmt: skip
@click.option("--runs", default=Path("runs"), type=FILE, show_default=True,
              help="Parent of the run folders that COMMAND makes, if it is a load.")  # fmt: skip
@click.option("--otlp", type=click.Path(), metavar="FILE|URL",
              help="File for the spans of requests as OTLP JSON, or URL of a receiver.")  # fmt: skip
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar=ARGUMENTS)
def trace(wait_s: float, runs: Path, otlp: str | None, arguments: tuple[str, ...]) -> int:
    """Run COMMAND against DEPLOYMENT and show the path of each of its requests.

    COMMAND gets the deployment's identity in OS_* (and AWS_*), and in http_proxy a proxy that records
    ports and request ids; nothing else is changed. The output shows the backend, the API process and the
    engines of each request, and when each handled it. The id of a request through TLS cannot be read.
    Needs [consent] level = "invasive", because the broker's tracing is on during the command.

    If COMMAND is a load (calorimeter run), the share of its requests that could be followed is shown, and
    the evidence is kept in the run folder: `trace RUN REQUEST_ID` then shows one request, and `trace RUN`
    makes the latency budget again, from the files of RUN alone (docs/reference/latency-budget.md).

    --otlp writes the way of each request as spans, for viewers of traces, or sends them to a receiver such
    as http://127.0.0.1:4318 (docs/reference/otlp.md).

    Exit status: 0 every request was followed to its engines; 1 a link is missing, or the command failed;
    2 the input or the set-up cannot be used.
    """
    target = otlp_output.check(otlp) if otlp is not None else None
    if os.path.lexists(Path(arguments[0]) / "run.json"):
        return _from_run(RunDir.open(Path(arguments[0])), arguments[1:], target)
    from calorimeter.gates.evidence.unavailable import EvidenceUnavailable
    from calorimeter.gates.request_path.follow import follow

    given, command = split(arguments)
    deployment = netns.open_deployment(given)
    try:
        followed = follow(deployment, command, runs=runs, wait_s=wait_s)
    except EvidenceUnavailable as problem:
        raise InputError(problem.where, problem.why) from problem
    for line in report(followed):
        click.echo(line)
    if target is not None:
        click.echo(otlp_output.write(target, spans_of(followed, deployment)))
    every = [*followed.paths.paths, *(path for _, of_run in followed.runs for path in of_run.paths)]
    whole = bool(every) and not followed.hidden and not any(path.missing for path in every)
    return 0 if whole and followed.status == 0 else 1


def split(arguments: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The deployment file, if the first argument ends in .toml (else None), and the command.

    Click drops a leading `--`, so only its name distinguishes a deployment file from a command.
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


def report(followed: FollowedCommand) -> list[str]:
    """What is shown of a command: each request with its timeline, then what is missing."""
    lines: list[str] = []
    for path in followed.paths.paths:
        at_s = (path.request.sent_ns - followed.started_ns) / 1e9
        lines += ["", *_request(path, followed.recording.hosts, f"{at_s:.3f} s after start")]
    for run, of_run in followed.runs:
        lines += ["", *_of_run(run, of_run)]
    if followed.paths.paths or not followed.runs:
        lines += ["", _summary(followed)]
    lines += [f"doubt: {doubt}" for doubt in followed.recording.doubts]
    return lines


def spans_of(followed: FollowedCommand, deployment: Deployment) -> Iterator[str]:
    """The lines of all spans of a command, and of the runs that it made."""
    from calorimeter.gates.request_path import traced_spans

    targets = otlp_output.targets(deployment)
    own = traced_spans.of_paths(followed.paths.paths, followed.recording.hosts, targets)
    yield from otlp_output.spans_of_command(own, deployment)
    for run, _ in followed.runs:
        yield from otlp_output.spans_of_run(run)


def _from_run(run: RunDir, arguments: tuple[str, ...], target: str | None) -> int:
    from calorimeter.gates.request_path import recording
    from calorimeter.gates.request_path.follow import TRACE, joined, samples

    if not arguments:
        status = _budget(run)
        if target is not None:
            click.echo(otlp_output.write(target, otlp_output.spans_of_run(run)))
        return status
    if len(arguments) != 1:
        raise InputError("trace", f"{len(arguments)} request ids given", "valid: trace RUN [REQUEST_ID]")
    found = samples(run, arguments[0])
    if not found:
        raise InputError(
            str(run.path), f"has no request {arguments[0]!r}", "valid: an id in samples/*.parquet"
        )
    evidence = recording.read(run, TRACE)
    (path,) = joined(found[:1], evidence).paths
    for line in _request(path, evidence.hosts, ""):
        click.echo(line)
    if target is not None:
        click.echo(otlp_output.write(target, otlp_output.spans_of_run(run, arguments[0])))
    return 1 if path.missing else 0


def _budget(run: RunDir) -> int:
    """Make the budget of a run again, keep it, and show it; exit status 1 if a link is missing."""
    from calorimeter.gates.request_path import budget, recording
    from calorimeter.gates.request_path.follow import TRACE
    from calorimeter.report import budget_text
    from calorimeter.report.tables.request_budget import budget_tables
    from calorimeter.studies import study_page

    found = budget.keep(run, recording.read(run, TRACE))
    if found is None:
        raise InputError(str(run.path), "holds no samples", "valid: what `calorimeter run` wrote")
    words = budget_text.budget(budget_tables(found))
    for sentence in words.seen:
        click.echo(sentence)
    for headings, *rows in filter(None, (words.requests, words.stacks)):
        click.echo(f"\n{study_page.text(study_page.Table('', '', headings, tuple(rows)))}")
    for doubt in found.doubts:
        click.echo(f"doubt: {shown_text.one_line(doubt)}")
    return 0 if found.seen.followed == found.seen.answered else 1


def _request(path: RequestPath, hosts: Mapping[str, str], when: str) -> Iterator[str]:
    from calorimeter.gates.request_path.timeline import timeline

    request = path.request
    yield f"{request.operation}  {request.request_id or '(no request id)'}  {when}".rstrip()
    yield from timeline(path, hosts)
    for link in path.missing:
        yield f"  missing: {link}"


def _of_run(run: RunDir, of_run: RequestPaths) -> Iterator[str]:
    from calorimeter.gates.request_path.completeness import join_completeness

    found = join_completeness(of_run)
    yield f"{run.path}: {len(of_run.paths)} requests, {found.answered} answered"
    if found.share is not None:
        yield f"  followed to their engines: {found.share:.4%}"
    for link, count in found.missing.items():
        yield f"  missing: {link} in {count}"


def _summary(followed: FollowedCommand) -> str:
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
