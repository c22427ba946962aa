"""`calorimeter history`."""

from __future__ import annotations

import re
from pathlib import Path

import click

from calorimeter.core import files, terminal
from calorimeter.core.verdict import Judgement, Outcome


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path, file_okay=False),
              help="Folder for the page; a history there is replaced (default: RUNS/history).")  # fmt: skip
@click.option("--gate", is_flag=True,
              help="Exit with 1 if the newest change of a load is for the worse (gate T4).")  # fmt: skip
@click.option("--run", type=click.Path(path_type=Path), metavar="RUN",
              help="Only runs of the same load as this one, up to it (default: all loads).")  # fmt: skip
@click.option("--since", metavar="DAY",
              help="Leave out runs before this day, as in 2026-05-01 (default: none).")  # fmt: skip
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False),
              help="File for the evidence of gate T4, instead of a page.")  # fmt: skip
@click.pass_context
def history(
    context: click.Context,
    runs: tuple[Path, ...],
    output: Path | None,
    gate: bool,
    run: Path | None,
    since: str | None,
    record: Path | None,
) -> None:
    """Show all runs in the folders RUNS over time, where their figures changed, and what changed with them.

    RUNS are folders that hold run folders (default: ./runs). The page has throughput, response times,
    errors, capacities and verdicts of each load. Runs that are damaged, or not complete, are named and left
    out. What was read is kept in RUNS/.calorimeter-history.json, to be quicker the next time.
    The last line printed is `report: ` and the path of the page.

    With --gate the exit status is 1 unless gate T4 passes: throughput, p99 and share of errors of no load
    changed for the worse the last time that they changed. A change needs five runs on both sides.
    """
    from calorimeter.commands.report import refuse_unusable
    from calorimeter.core.recorded import folders_of_runs
    from calorimeter.core.recorded.load_history import GATE
    from calorimeter.report.history import history_record, whole_history

    folders = runs or (Path("runs"),)
    target = output if output is not None else folders[0] / "history"
    if record is not None:
        files.refuse_other(record, re.compile(rb'\A\{"folders":\['), f"evidence of gate {GATE}")
    folders_of_runs.check(folders)
    if record is None:
        refuse_unusable(target)
    with terminal.status("Reading the runs …") as status:
        collected = whole_history.collected(folders, status.update, run, since)
        status.update("Looking for changes …")
        found = whole_history.of(folders, collected)
    for name, why in collected.left_out:
        click.echo(f"left out: {name}: {why}", err=True)
    if record is not None:
        evidence = history_record.evidence(found.folders, found.lines)
        files.write(record, evidence.model_dump_json())
        return
    for line in whole_history.texts(found):
        click.echo(line)
    _judged(GATE, found.judgement)
    with terminal.status("Drawing figures …"):
        from calorimeter.report.history import history_page

        made = history_page.files(found, target)
    from calorimeter.commands.report import write_report

    write_report(made, target)
    context.exit(int(gate and found.judgement.outcome is not Outcome.PASS))


def _judged(gate: str, judgement: Judgement) -> None:
    click.echo(f"{gate} {judgement.outcome}: {judgement.why}")
    for line in judgement.counter_examples:
        click.echo(f"  {line}")
