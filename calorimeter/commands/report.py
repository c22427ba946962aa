"""The command `compare`, and what `calorimeter report` does with a run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from calorimeter.core.errors import InputError
from calorimeter.core.rundir import RunDir
from calorimeter.core.verdict import Verdict

if TYPE_CHECKING:
    from calorimeter.report.page import Files


def of_run(run: RunDir) -> Files:
    """The files of a run's page; says on a terminal how far it is."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("Reading the run …") as status:
        from calorimeter.report import findings, page

        found = findings.collect(run)
        status.update("Drawing figures …")
        return page.files(found)


def newest(runs: Path) -> Path:
    """The newest run folder; their names begin with the time. Raises `InputError` where there is none."""
    found = sorted(path.parent for path in runs.glob("*/run.json"))
    if not found:
        raise InputError(
            str(runs), "holds no run folder", "give one: calorimeter report RUN, or `calorimeter run` first"
        )
    return found[-1]


def refuse_unusable(target: Path) -> None:
    """Said before the work: a folder about to be replaced must be a report, a new one must be possible."""
    try:
        if target.is_dir() and any(target.iterdir()) and not (target / "summary.json").exists():
            raise InputError(
                str(target), "is a folder with something else in it", "valid: a new folder, or a report"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".calorimeter-", dir=target.parent):
            pass  # where this can be made the report can be
    except OSError as problem:
        raise InputError(str(target), f"cannot be written ({problem.strerror})") from problem


@click.command()
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="A run of the left side (may be given several times); makes the comparison gate T2.",
)
@click.option("--despite", multiple=True, metavar="KEY", help="Compare although runs differ in KEY.")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Write a page here.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the evidence of gate T2 here instead of judging it.")  # fmt: skip
@click.pass_context
def compare(
    context: click.Context,
    runs: tuple[Path, ...],
    baseline: tuple[Path, ...],
    despite: tuple[str, ...],
    output: Path | None,
    record: Path | None,
) -> None:
    """Say what differs between two sides of runs, by how much and how sure that is.

    Two RUNs are two sides, the first being the left one. Of more runs, those of one deployment are a side;
    `--baseline` says which are on the left instead, and then the exit status is 1 unless none of the others
    is detectably slower (gate T2, added to the verdicts of the last RUN). With five runs a side or more
    runs are compared, else windows within them, and the result says so.
    """
    from rich.console import Console

    from calorimeter.report import comparison, comparison_page, page

    if output is not None:
        refuse_unusable(output)
    console = Console(stderr=True)
    with console.status("Reading the runs …"):
        left, right = comparison.sides(runs, baseline)
        measured = [[comparison.measure(path) for path in side] for side in (left, right)]
        found = comparison.compare(measured[0], measured[1], despite)
    _show(comparison_page.HEADINGS, comparison_page.cells(found))
    click.echo(f"left: {found.deployments[0]}; right: {found.deployments[1]}")
    click.echo(f"compared {found.label}")
    shares = [f"{share * 100:.2f} %" for share in found.failed]
    click.echo(f"not as expected: {shares[0]} on the left, {shares[1]} on the right")
    if found.left_out:
        click.echo(f"too few samples: {', '.join(found.left_out)}")
    if output is not None:
        page.write(comparison_page.files(found), output)
        click.echo(f"report: {output / 'index.html'}")
    if record is not None:
        record.write_text(comparison.baseline_of(found).model_dump_json(), encoding="utf-8")
    elif baseline:
        run = RunDir.open(right[-1])
        context.exit(_judge(comparison.verdict_of(found, run), run))


def _show(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    for row in (headings, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _judge(verdict: Verdict, run: RunDir) -> int:
    """Add a verdict to those of a run; the exit status that it gives."""
    from calorimeter.core import verdict as verdicts

    path = run.path / "verdicts.json"
    known = verdicts.read(path) if path.exists() else verdicts.Verdicts()
    verdicts.write(known.merged([verdict]), path)
    click.echo(f"{verdict.gate} {verdict.judgement.outcome}: {verdict.judgement.why}")
    for line in verdict.judgement.counter_examples:
        click.echo(f"  {line}")
    return 0 if verdict.acceptable else 1
