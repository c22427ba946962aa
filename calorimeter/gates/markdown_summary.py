"""The verdicts as Markdown, in the form that CI services show as the summary of a job."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Outcome, Verdict, count, gate_order

MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️", Outcome.NOT_RUN: "⏭️"}

VARIABLE = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file that GitHub's and Gitea's runners show; jobs append to it."""


def markdown(deployment: str, run: Path, verdicts: Iterable[Verdict]) -> str:
    """A heading with the counts, a row for each gate, and the counter-examples of unacceptable verdicts."""
    ordered = sorted(verdicts, key=lambda verdict: gate_order(verdict.gate))
    accepted = all(v.acceptable or v.judgement.outcome is Outcome.NOT_RUN for v in ordered)
    passed = any(v.judgement.outcome is Outcome.PASS for v in ordered)
    lines = [
        f"## {'✅' if accepted and passed else '❌'} Calorimeter: {_cell(deployment)}",
        "",
        f"{count(ordered)} · run `{run.name}`",
        "",
        "| | gate | | why |",
        "|---|---|---|---|",
    ]
    for verdict in ordered:
        outcome = verdict.judgement.outcome
        waived = f" (waived: {_cell(verdict.waived)})" if verdict.waived else ""
        cells = f"{_cell(verdict.heading)} | {_cell(verdict.judgement.why)}"
        lines.append(f"| {MARKS[outcome]} {outcome.value}{waived} | {verdict.gate} | {cells} |")
    for verdict in ordered:
        if not verdict.acceptable and verdict.judgement.counter_examples:
            lines += ["", f"<details><summary>{verdict.gate}: counter-examples</summary>", ""]
            lines += [f"- {_cell(example)}" for example in verdict.judgement.counter_examples]
            lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text escaped for a table's cell: it ends no cell and is no markup."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|").replace("*", "\\*")
    return " ".join(escaped.split())


def write(text: str, file: Path | None) -> None:
    """Write to `file`, if given, and append to the job summary, if any. Raises InputError if that fails."""
    targets = [(file, "w")] if file is not None else []
    if named := os.environ.get(VARIABLE):
        targets.append((Path(named), "a"))
    for path, mode in targets:
        try:
            with path.open(mode, encoding="utf-8") as out:
                out.write(text)
        except OSError as problem:
            raise InputError(str(path), f"the summary cannot be written ({problem.strerror})") from problem
