"""The verdicts as Markdown, in the form that CI services show as the summary of a job."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Iterable
from pathlib import Path

from calorimeter.core import files
from calorimeter.core.shown_text import markdown as markdown_text
from calorimeter.core.verdict import Outcome, Verdict, count, gate_order

MARKS = {Outcome.PASS: "✅", Outcome.FAIL: "❌", Outcome.INCONCLUSIVE: "⚠️", Outcome.NOT_RUN: "⏭️"}

_OURS = re.compile(rb"\A## \S+ Calorimeter: ")

VARIABLE = "GITHUB_STEP_SUMMARY"
"""Environment variable with the file that GitHub's and Gitea's runners show; jobs append to it."""


def markdown(deployment: str, run: Path, verdicts: Iterable[Verdict]) -> str:
    """A heading with the counts, a row for each gate, and the counter-examples of unacceptable verdicts."""
    ordered = sorted(verdicts, key=lambda verdict: gate_order(verdict.gate))
    accepted = not any(v.refuses for v in ordered)
    passed = any(v.judgement.outcome is Outcome.PASS for v in ordered)
    lines = [
        f"## {'✅' if accepted and passed else '❌'} Calorimeter: {markdown_text(deployment)}",
        "",
        f"{count(ordered)} · run {markdown_text(run.name)}",
        "",
        "| | gate | | why |",
        "|---|---|---|---|",
    ]
    for verdict in ordered:
        outcome = verdict.judgement.outcome
        waived = f" (waived: {markdown_text(verdict.waived)})" if verdict.waived else ""
        cells = " | ".join(map(markdown_text, (verdict.gate, verdict.heading, verdict.judgement.why)))
        lines.append(f"| {MARKS[outcome]} {outcome.value}{waived} | {cells} |")
    for verdict in ordered:
        if not verdict.acceptable and verdict.judgement.counter_examples:
            lines += ["", f"<details><summary>{html.escape(verdict.gate)}: counter-examples</summary>", ""]
            lines += [f"- {markdown_text(example)}" for example in verdict.judgement.counter_examples]
            lines += ["", "</details>"]
    return "\n".join(lines) + "\n"


def check(file: Path | None) -> None:
    """Raise InputError if the file of --summary is something else, which would be replaced."""
    if file is not None:
        files.refuse_other(file, _OURS, "a summary of verdicts")


def write(text: str, file: Path | None) -> None:
    """Write to `file`, if given, and append to the job summary, if any. Raises InputError if that fails."""
    content = text.encode("utf-8", "backslashreplace")
    if file is not None:
        check(file)
        files.write(file, content)
    if named := os.environ.get(VARIABLE):
        with files.append(Path(named)) as job:
            job.write(content)
