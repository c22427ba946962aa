"""`calorimeter report` and `calorimeter compare`."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from calorimeter.core import files, terminal
from calorimeter.core import verdict as verdicts
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.core.verdict import Verdict
from calorimeter.studies import published

if TYPE_CHECKING:
    from calorimeter.report.page import Files


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the report; a report there is replaced (default: RUN/report).")  # fmt: skip
def report(run: Path | None, output: Path | None) -> None:
    """Make a page with figures and tables from RUN, the folder of a run or of a study.

    `calorimeter run`, `verify`, `capacity`, `scale` and `releases` write such folders (default: the newest
    under ./runs). The command reads nothing else: the same folder gives the same bytes, on any machine. The
    last line printed is `report: ` and the path of the page.
    """
    folder = run if run is not None else newest(Path("runs"))
    opened = None if published.is_study(folder) else RunDir.open(folder)
    target = output if output is not None else folder / "report"
    refuse_unusable(target)
    write_report(_files(opened) if opened else published.made(folder), target)


def _files(run: RunDir) -> Files:
    """The files of a run's page, with progress on the terminal."""
    with terminal.status("Reading the run …") as status:
        from calorimeter.report import page, page_content

        found = page_content.collect(run)
        status.update("Drawing figures …")
        return page.files(found)


def write_report(made: Files, target: Path) -> None:
    """Write the files of a report, and print where its page is."""
    from calorimeter.report import report_folder

    kept = report_folder.write(made, target)
    if kept is not None:
        click.echo(f"{target}: the report before had no manifest; it is kept in {kept}", err=True)
    click.echo(f"report: {target / 'index.html'}")


def newest(runs: Path) -> Path:
    """The newest run folder, by its name; raises `InputError` without a run folder."""
    found = sorted(path.parent for path in runs.glob("*/run.json"))
    if not found:
        raise InputError(
            str(runs), "holds no run folder", "give one: calorimeter report RUN, or `calorimeter run` first"
        )
    return found[-1]


def refuse_unusable(target: Path) -> None:
    """Raise `InputError` if a report cannot be written there, or would replace other files."""
    from calorimeter.report import report_folder

    report_folder.refuse_foreign(target)
    files.make_folder(target.parent, mode=0o755)
    try:
        with TemporaryDirectory(prefix=".calorimeter-", dir=target.parent):
            pass  # if this can be made, the report can be
    except OSError as problem:
        raise InputError(str(target), f"cannot be written ({problem.strerror})") from problem


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--baseline", multiple=True, type=click.Path(path_type=Path), metavar="RUN",
              help="Run of the left side; may be repeated. Makes the comparison gate T2.")  # fmt: skip
@click.option("--despite", multiple=True, metavar="KEY",
              help="Key of run.json in which runs may differ; may be repeated.")  # fmt: skip
@click.option("--output", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for a page (default: none).")  # fmt: skip
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False),
              help="File for the evidence of gate T2, which is then not judged.")  # fmt: skip
@click.pass_context
def compare(
    context: click.Context,
    runs: tuple[Path, ...],
    baseline: tuple[Path, ...],
    despite: tuple[str, ...],
    output: Path | None,
    record: Path | None,
) -> None:
    """Compare two sides of RUNS: what differs, by how much, and how sure that is.

    Two RUNS are two sides, the first is the left one. Of more runs, those of one deployment are one side.
    With --baseline its runs are the left side instead, and the exit status is 1 unless no operation of the
    others is detectably slower (gate T2, added to the verdicts of the last RUN). Five runs a side or more
    are compared as runs; fewer as windows within runs, and the result says so.
    """
    from calorimeter.report import comparison, comparison_page, measured_runs
    from calorimeter.studies import study_page

    if output is not None:
        refuse_unusable(output)
    if record is not None:
        files.refuse_other(record, re.compile(rb'\A\{"left":\['), "evidence of gate T2")
    with terminal.status("Reading the runs …"):
        found = comparison.of(runs, baseline, despite)
    rows = tuple(comparison_page.cells(found))
    click.echo(study_page.text(study_page.Table("", "", comparison_page.HEADINGS, rows)))
    click.echo(f"left: {found.deployments[0]}; right: {found.deployments[1]}")
    click.echo(f"compared {found.label}")
    shares = [f"{share * 100:.2f} %" for share in found.failed]
    click.echo(f"not as expected: {shares[0]} on the left, {shares[1]} on the right")
    if found.left_out:
        click.echo(f"too few samples: {', '.join(found.left_out)}")
    if output is not None:
        write_report(comparison_page.files(found), output)
    if record is not None:
        files.write(record, comparison.baseline_of(found).model_dump_json())
    elif baseline:
        run = RunDir.open(measured_runs.sides(runs, baseline)[1][-1])
        context.exit(_judge(comparison.verdict_of(found, run), run))


def _judge(verdict: Verdict, run: RunDir) -> int:
    """Add a verdict to those of a run; the exit status."""
    verdicts.add([verdict], run.path / "verdicts.json")
    click.echo(f"{verdict.gate} {verdict.judgement.outcome}: {verdict.judgement.why}")
    for line in verdict.judgement.counter_examples:
        click.echo(f"  {line}")
    return 0 if verdict.acceptable else 1
