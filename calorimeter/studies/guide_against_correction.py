"""The guide's proxy against its correction: the whole failure catalogue on both, side by side.

A lab is brought up with the guide's own proxy, gates H are run on it, and again after each change of the
proxy. The table is made from the figures of their verdicts; nothing is measured twice.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from calorimeter.core import paths, verdict
from calorimeter.core.verdict import Figure, Outcome, Verdicts

GATES = "H1,H2,H3,H4,H5,H6,H7,H8,H9"


@dataclass(frozen=True, slots=True)
class Variant:
    """One proxy: its name in the table, options of `calorimeter lab proxy`, and a sabotage (none: "")."""

    name: str
    options: tuple[str, ...]
    sabotage: str = ""


VARIANTS = (
    Variant("guide", ("--proxy", "guide")),
    Variant("checked", ("--proxy", "checked")),
    Variant("checked, sessions not cut", ("--proxy", "checked"), "sessions-stay"),
    Variant("checked, connect 2s", ("--proxy", "checked", "--timeouts", "connect=2s")),
)

FAULTS = {
    "kill": ("H2", "crash (kill -9)"),
    "errors": ("H2", "every answer is 503"),
    "refuse_checks": ("H2", "health check alone is refused"),
    "freeze": ("H3", "freeze (SIGSTOP)"),
    "slow": ("H3", "answers come 3 s late"),
    "unreachable": ("H4", "packets vanish"),
    "cut_off": ("H9", "cut off from RabbitMQ"),
}
"""Fault as figures call it → the gate that tries it, and what to call it."""

FIGURES = {
    "detection_s": "detected after, s",
    "outage_s": "clients saw failures for, s",
    "failed": "failed requests",
    "requests": "of requests",
    "sources_hit": "sources hit (of 20)",
    "sources_moved": "sources of other servers moved",
    "slow": "answered after more than 1 s",
    "longest_s": "longest request, s",
}

SERVICE = {
    ("H5", "recovery_s"): "used again after (slowest fault), s",
    ("H7", "failed"): "requests failed in a rolling restart",
    ("H7", "kept_alive_failed"): "of kept-alive clients",
    ("H8", "outage_s"): "all dead, then started: failures for, s",
    ("H8", "longest_s"): "longest wait for an error, s",
}


def calorimeter(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; its progress goes to stderr."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)


def lab(*words: str) -> None:
    """Run `calorimeter lab …`; raises `ClickException` where it fails."""
    if calorimeter("lab", *words).returncode != 0:
        raise click.ClickException(f"calorimeter lab {' '.join(words)} failed")


def judged(name: str, variant: Variant, runs: Path) -> Verdicts:
    """The verdicts of gates H on the lab with one proxy."""
    lab("proxy", "--name", name, *variant.options)
    if variant.sabotage:
        lab("sabotage", variant.sabotage, "--name", name)
    file = paths.lab(name) / "deployment.toml"
    before = set(runs.glob("*/verdicts.json"))
    done = calorimeter("verify", str(file), "--gates", GATES, "--runs", str(runs))
    found = set(runs.glob("*/verdicts.json")) - before
    if len(found) != 1:
        raise click.ClickException(f"{variant.name}: the gates could not be run (status {done.returncode})")
    return verdict.read(found.pop())


def table(columns: dict[str, Verdicts]) -> Iterator[str]:
    """The Markdown lines: a row a figure, a column a proxy, REST and CFN separated by a stroke."""
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for fault, (gate, title) in FAULTS.items():
        yield f"| **{title}** |" + " |" * len(columns)
        for key, told in FIGURES.items():
            cells = [_both(verdicts, gate, f"{fault}_{key}") for verdicts in columns.values()]
            if any(cell not in ("–", "0 / 0", "0.0 / 0.0") for cell in cells):
                yield f"| {told} | " + " | ".join(cells) + " |"
    yield "| **recovery and service** |" + " |" * len(columns)
    for (gate, key), told in SERVICE.items():
        cells = [
            _slowest(verdicts) if key == "recovery_s" else _both(verdicts, gate, key)
            for verdicts in columns.values()
        ]
        yield f"| {told} | " + " | ".join(cells) + " |"
    yield "| **verdicts** |" + " |" * len(columns)
    for gate in GATES.split(","):
        outcomes = [_outcome(verdicts, gate) for verdicts in columns.values()]
        yield f"| {gate} | " + " | ".join(outcomes) + " |"


def _outcome(verdicts: Verdicts, gate: str) -> str:
    found = verdicts.of(gate)
    waived = " (waived)" if found.waived and found.judgement.outcome is not Outcome.PASS else ""
    return f"{found.judgement.outcome.value}{waived}"


def _both(verdicts: Verdicts, gate: str, key: str) -> str:
    figures = verdicts.of(gate).judgement.figures
    told = [_told(figures[name]) for api in ("rest", "cfn") if (name := f"{api}_{key}") in figures]
    if key.endswith("detection_s") and told and set(told) == {"–"}:
        return "never"
    return "–" if not told or set(told) == {"–"} else " / ".join(told)


def _slowest(verdicts: Verdicts) -> str:
    figures = verdicts.of("H5").judgement.figures
    told = []
    for api in ("rest", "cfn"):
        found = [
            float(value)
            for key, value in figures.items()
            if key.startswith(f"{api}_") and key.endswith("_recovery_s") and value is not None
        ]
        told += [f"{max(found):.1f}"] if found else ["–"]
    return "–" if set(told) == {"–"} else " / ".join(told)


def _told(value: Figure) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


@click.command("guide-against-correction")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True,
              help="Where the run folders are made.")  # fmt: skip
@click.option("--name", default="guide-study", show_default=True, help="Of the lab, which must not be up.")
@click.option("--servers", default=3, show_default=True, type=click.IntRange(2, 16), help="Of each API.")
@click.option("--only", multiple=True, type=click.Choice([v.name for v in VARIANTS]),
              help="Only these proxies; may be given again.")  # fmt: skip
def compare(runs: Path, name: str, servers: int, only: Sequence[str]) -> None:
    """Run the whole failure catalogue against the guide's proxy and its corrections, side by side.

    Brings a lab up and takes it down again; about four minutes a proxy. Prints a Markdown table.
    """
    runs.mkdir(parents=True, exist_ok=True)
    chosen = [variant for variant in VARIANTS if not only or variant.name in only]
    shape = ["--rest", str(servers), "--cfn", str(servers), "--engines", "1"]
    lab("up", "--name", name, *shape, *chosen[0].options)
    columns: dict[str, Verdicts] = {}
    try:
        for variant in chosen:
            columns[variant.name] = judged(name, variant, runs)
    finally:
        lab("down", "--name", name)
    for line in table(columns):
        click.echo(line)
