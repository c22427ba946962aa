"""The guide's proxy against its corrections: gates H on a lab behind each, side by side.

The table is made from the figures of the verdicts; nothing is measured twice.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from calorimeter.core import files, paths, verdict
from calorimeter.core.errors import InputError
from calorimeter.core.verdict import Figure, Outcome, Verdicts

GATES = "H1,H2,H3,H4,H5,H6,H7,H8,H9"


@dataclass(frozen=True, slots=True)
class Variant:
    """One proxy: its name in the table, options of `calorimeter lab proxy`, and a sabotage ("": none)."""

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
"""Fault, as figures name it → the gate that injects it, and its title in the table."""

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
    """Run `calorimeter …`; its progress goes to stderr."""
    command = [sys.executable, "-m", "calorimeter", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)


def lab(*words: str) -> None:
    """Run `calorimeter lab …`; raises `InputError` if it fails."""
    if calorimeter("lab", *words).returncode != 0:
        raise InputError(f"calorimeter lab {' '.join(words)}", "failed")


def judged(name: str, variant: Variant, runs: Path) -> Verdicts:
    """The verdicts of gates H on a lab behind one proxy; raises `InputError` if they cannot run."""
    lab("proxy", "--name", name, *variant.options)
    if variant.sabotage:
        lab("sabotage", variant.sabotage, "--name", name)
    file = paths.lab(name) / "deployment.toml"
    before = set(runs.glob("*/verdicts.json"))
    done = calorimeter("verify", str(file), "--gates", GATES, "--runs", str(runs))
    found = set(runs.glob("*/verdicts.json")) - before
    if len(found) != 1:
        raise InputError(variant.name, f"the gates could not run (status {done.returncode})")
    return verdict.read(found.pop())


def table(columns: dict[str, Verdicts]) -> Iterator[str]:
    """The lines of a Markdown table: a row per figure, a column per proxy, REST / CFN in each cell."""
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" * (len(columns) + 1) + "|"
    for fault, (gate, title) in FAULTS.items():
        yield f"| **{title}** |" + " |" * len(columns)
        for key, label in FIGURES.items():
            cells = [_both(verdicts, gate, f"{fault}_{key}") for verdicts in columns.values()]
            if any(cell not in ("–", "0 / 0", "0.0 / 0.0") for cell in cells):
                yield f"| {label} | " + " | ".join(cells) + " |"
    yield "| **recovery and service** |" + " |" * len(columns)
    for (gate, key), label in SERVICE.items():
        cells = [
            _slowest(verdicts) if key == "recovery_s" else _both(verdicts, gate, key)
            for verdicts in columns.values()
        ]
        yield f"| {label} | " + " | ".join(cells) + " |"
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
    cells = [_cell(figures[name]) for api in ("rest", "cfn") if (name := f"{api}_{key}") in figures]
    if key.endswith("detection_s") and set(cells) == {"–"}:
        return "never"
    return " / ".join(cells) if set(cells) - {"–"} else "–"


def _slowest(verdicts: Verdicts) -> str:
    figures = verdicts.of("H5").judgement.figures
    cells = []
    for api in ("rest", "cfn"):
        found = [
            float(value)
            for key, value in figures.items()
            if key.startswith(f"{api}_") and key.endswith("_recovery_s") and value is not None
        ]
        cells.append(_cell(max(found, default=None)))
    return " / ".join(cells) if set(cells) != {"–"} else "–"


def _cell(value: Figure) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def compare(runs: Path, name: str, servers: int, variants: Sequence[Variant]) -> Iterator[str]:
    """Run gates H behind each proxy on a lab of its own; the lines of the table."""
    files.make_folder(runs)
    shape = ["--rest", str(servers), "--cfn", str(servers), "--engines", "1"]
    lab("up", "--name", name, *shape, *variants[0].options)
    try:
        columns = {variant.name: judged(name, variant, runs) for variant in variants}
    finally:
        lab("down", "--name", name)
    return table(columns)
