"""What a check concludes, and what a gate says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError

from calorimeter.core.errors import InputError
from calorimeter.core.toml import Model

Figure = int | float | str | bool | None

SCHEMA = 1
"""Version of verdicts.json."""

SHOWN_COUNTER_EXAMPLES = 10


class Outcome(StrEnum):
    """PASS and FAIL are proven; INCONCLUSIVE is everything that is not; NOT RUN was not tried."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT RUN"


class Judgement(Model):
    """A check's conclusion from its evidence.

    `why` is one sentence; `figures` are named numbers with their unit in the name (`outage_s`);
    `counter_examples` quote what refutes the property.
    """

    outcome: Outcome
    why: str
    figures: dict[str, Figure] = {}
    counter_examples: tuple[str, ...] = ()


def passed(why: str, **figures: Figure) -> Judgement:
    """The evidence proves the property."""
    return Judgement(outcome=Outcome.PASS, why=why, figures=figures)


def failed(why: str, counter_examples: Sequence[str] = (), **figures: Figure) -> Judgement:
    """The evidence refutes the property; at most ten counter-examples are kept, the rest counted."""
    shown = tuple(counter_examples[:SHOWN_COUNTER_EXAMPLES])
    if len(counter_examples) > len(shown):
        shown += (f"… and {len(counter_examples) - len(shown)} more",)
    return Judgement(outcome=Outcome.FAIL, why=why, figures=figures, counter_examples=shown)


def inconclusive(why: str, **figures: Figure) -> Judgement:
    """The evidence neither proves nor refutes the property."""
    return Judgement(outcome=Outcome.INCONCLUSIVE, why=why, figures=figures)


class Verdict(Model):
    """A gate's judgement, with what a reader needs to understand it.

    `guide` quotes the sentence of the guide that the gate tests; `waived` is the owner's reason where
    `deployment.toml` waives the gate by name; `evidence` names the files it was judged from,
    relative to the run folder.
    """

    gate: str
    heading: str
    guide: str
    judgement: Judgement
    waived: str | None = None
    evidence: tuple[str, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether an acceptance run may end well with this verdict in it."""
        return self.judgement.outcome is Outcome.PASS or self.waived is not None


class Verdicts(Model):
    """All verdicts of one run, as in verdicts.json."""

    schema_version: int = SCHEMA
    verdicts: tuple[Verdict, ...] = ()

    def of(self, gate: str) -> Verdict:
        """The verdict of one gate; KeyError where it has none."""
        for verdict in self.verdicts:
            if verdict.gate == gate:
                return verdict
        raise KeyError(gate)

    def merged(self, newer: Iterable[Verdict]) -> Verdicts:
        """These verdicts, with those of the gates in `newer` replaced, in order of their ids."""
        by_gate = {verdict.gate: verdict for verdict in (*self.verdicts, *newer)}
        return Verdicts(verdicts=tuple(by_gate[gate] for gate in sorted(by_gate, key=gate_order)))


def gate_order(gate: str) -> tuple[str, int]:
    """Sort key of gate ids: A1, A2, … A10, E1, …"""
    digits = "".join(c for c in gate if c.isdigit())
    return gate.rstrip("0123456789"), int(digits or 0)


def read(path: Path) -> Verdicts:
    """Read a verdicts.json; raises `InputError` where it is none, or of another version."""
    try:
        text = path.read_text(encoding="utf-8")
        tree = json.loads(text)
        version = tree.get("schema_version") if isinstance(tree, dict) else None
        if version != SCHEMA:
            raise InputError(str(path), f"schema_version {version!r}", f"valid: {SCHEMA}")
        return Verdicts.model_validate_json(text)
    except OSError as problem:
        raise InputError(str(path), f"cannot be read ({problem.strerror})") from problem
    except (ValueError, ValidationError) as problem:
        raise InputError(str(path), "is not a verdicts.json") from problem


def write(verdicts: Verdicts, path: Path) -> None:
    """Write verdicts.json; a reader sees the old file or the new one, never half of one."""
    partial = path.with_suffix(".partial")
    partial.write_text(verdicts.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
