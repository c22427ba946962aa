"""`calorimeter export`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calorimeter.commands import otlp_output
from calorimeter.commands.options import FILE
from calorimeter.commands.param_types import NumberParam
from calorimeter.core import bounds, files, otlp_sender, terminal
from calorimeter.core.errors import InputError, unknown
from calorimeter.core.otlp_sender import TelemetrySignal
from calorimeter.core.recorded.rundir import RunDir

if TYPE_CHECKING:
    from calorimeter.core.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of a command line, those of other formats included."""

    table: str
    slowest: int
    interval: int | None


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format: `what` its files are, how they are known, and the text of a run in it, in parts.

    `option` is the name of the option that this format has, and few others; `signal` is what receivers of
    OTLP take it as.
    """

    what: str
    ours: re.Pattern[bytes]
    parts: Callable[[RunDir, Wanted], Iterable[str]]
    option: str = ""
    signal: TelemetrySignal | None = None


def _jsonl(run: RunDir, wanted: Wanted) -> Iterator[str]:
    from calorimeter.export import json_lines

    return json_lines.lines(run, wanted.table)


def _har(run: RunDir, wanted: Wanted) -> Iterator[str]:
    from calorimeter.export import http_archive, slowest_requests
    from calorimeter.export.request_batches import request_batches

    fronts = otlp_output.fronts(otlp_output.described(run))
    batches = request_batches(run, slowest_requests.COLUMNS)
    found = slowest_requests.slowest(batches, wanted.slowest)
    yield http_archive.document(found, fronts, otlp_output.routes(), run.about["id"])


def _hdr(run: RunDir, wanted: Wanted) -> Iterator[str]:
    from calorimeter.export import histogram_log
    from calorimeter.export.request_batches import request_batches

    return histogram_log.parts(
        lambda: request_batches(run, histogram_log.COLUMNS), wanted.interval or 1, run.about["id"]
    )


def _otlp(run: RunDir, _: Wanted) -> Iterator[str]:
    return otlp_output.spans_of_run(run)


def _otlp_metrics(run: RunDir, wanted: Wanted) -> Iterator[str]:
    from itertools import chain

    from calorimeter.commands import polled_metrics
    from calorimeter.export import otlp_points, request_metrics

    points = chain(request_metrics.points(run, wanted.interval or 10), polled_metrics.points(run))
    return otlp_points.lines(points, otlp_output.exported_run(run))


def _junit(run: RunDir, _: Wanted) -> Iterator[str]:
    from calorimeter.core.recorded import gate_times
    from calorimeter.export import junit_xml

    verdicts = _verdicts(run)
    took_s = {gate.gate: gate.took_s for gate in gate_times.read(run.path).gates}
    about = run.about
    yield junit_xml.document(verdicts, f"calorimeter {about['id']}", about["started"], took_s)


def _sarif(run: RunDir, _: Wanted) -> Iterator[str]:
    from calorimeter.config.audit.audit_report import AuditReport
    from calorimeter.core.recorded import recorded_json
    from calorimeter.export import sarif_log

    try:
        found = recorded_json.record(run.path / "evidence" / "audit.json", AuditReport, within=run.path)
    except files.MissingFileError:
        found = None
    yield sarif_log.document(_verdicts(run), run.about["id"], found)


def _verdicts(run: RunDir) -> tuple[Verdict, ...]:
    from calorimeter.core import verdict

    try:
        found = verdict.read(run.path / "verdicts.json").verdicts
    except files.MissingFileError:
        found = ()
    if not found:
        raise InputError(
            str(run.path), "holds no verdicts", "valid: a folder that `calorimeter verify` wrote"
        )
    return found


FORMATS = {
    "jsonl": ExportFormat(
        "rows as JSON Lines", re.compile(rb'\A\{"(?:scheduled_ns|stack_id)":'), _jsonl, "table"
    ),
    "har": ExportFormat(
        "an HTTP Archive of requests", re.compile(rb'\A\{\s*"log": \{\s*"version": "1'), _har, "slowest"
    ),
    "hdr": ExportFormat(
        "an HdrHistogram log", re.compile(rb"\A#\[Histogram log format version "), _hdr, "interval"
    ),
    "junit": ExportFormat("JUnit XML", re.compile(rb"<testsuite"), _junit),
    "otlp": ExportFormat(otlp_output.WHAT, otlp_output.SPANS, _otlp, signal=otlp_sender.TRACES),
    "otlp-metrics": ExportFormat(
        "metrics as OTLP JSON",
        re.compile(rb'\A\{"resourceMetrics":'),
        _otlp_metrics,
        "interval",
        otlp_sender.METRICS,
    ),
    "sarif": ExportFormat(
        "a SARIF log", re.compile(rb'\A\{\s*"\$schema": "[^"]*/sarif-schema-2\.1\.0\.json"'), _sarif
    ),
}


@click.command()
@click.argument("run", type=FILE)
@click.option("--format", "form", required=True, metavar="NAME",
              help=f"Format: {', '.join(FORMATS)}.")  # fmt: skip
@click.option("-o", "--output", type=FILE, help="File to write (default: standard output).")
@click.option("--otlp", metavar="URL", help="Receiver to send otlp or otlp-metrics to, instead of a file.")
@click.option("--table", type=click.Choice(["samples", "ledger", "actions"]), default="samples",
              show_default=True, help="Rows for jsonl.")  # fmt: skip
@click.option("--slowest", type=NumberParam(bounds.SLOWEST), default=100, show_default=True,
              help="Requests for har.")  # fmt: skip
@click.option("--interval", type=NumberParam(bounds.INTERVAL), default=None,
              help="Seconds between counts, for hdr (default: 1) and otlp-metrics (10).")  # fmt: skip
@click.pass_context
def export(
    context: click.Context,
    run: Path,
    form: str,
    output: Path | None,
    otlp: str | None,
    table: str,
    slowest: int,
    interval: int | None,
) -> None:
    """Write RUN, the folder of a run, in a format that other programs read.

    jsonl has every sample, stack or action, one JSON object a line. har has the slowest requests as an
    HTTP Archive. hdr has a histogram of response and service times for each interval and operation, for
    HdrHistogram's tools. otlp has the way of each traced request as spans, otlp-metrics has histograms,
    counters and gauges: both for OpenTelemetry, and --otlp sends them to a receiver. junit has the
    verdicts as JUnit XML, sarif has them and the findings of an audit. docs/reference/export.md and otlp.md
    name the fields and their units.
    """
    if form not in FORMATS:
        raise unknown("--format", "format", form, FORMATS)
    chosen = FORMATS[form]
    _refuse_options_of_others(context, form)
    url = _receiver(otlp, chosen, output) if otlp is not None else None
    opened = RunDir.open(run)
    if output is not None:
        files.refuse_other(output, chosen.ours, chosen.what)
    parts = chosen.parts(opened, Wanted(table, slowest, interval))
    if url is not None and chosen.signal is not None:
        click.echo(otlp_output.send(url, parts, chosen.signal))
        return
    if output is not None:
        files.write_parts(output, (part.encode("ascii") for part in parts))
        return
    for part in parts:
        click.echo(part, nl=False)
        if terminal.reader_is_gone():
            return


def _receiver(given: str, chosen: ExportFormat, output: Path | None) -> str:
    if chosen.signal is None:
        of = " and ".join(name for name, each in FORMATS.items() if each.signal)
        raise click.UsageError(f"--otlp is for --format {of}")
    if output is not None:
        raise click.UsageError("--otlp and --output exclude each other")
    return otlp_sender.receiver_url(given, otlp_output.OPTION, chosen.signal)


def _refuse_options_of_others(context: click.Context, form: str) -> None:
    for option in dict.fromkeys(each.option for each in FORMATS.values() if each.option):
        given = context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE
        if given and FORMATS[form].option != option:
            of = " and ".join(name for name, each in FORMATS.items() if each.option == option)
            raise click.UsageError(f"--{option} is for --format {of}", context)
