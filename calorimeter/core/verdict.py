"""A check's judgement, a gate's verdict, and verdicts.json."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field

from calorimeter.core import files
from calorimeter.core.bounds import is_digits
from calorimeter.core.errors import InputError
from calorimeter.core.recorded import recorded_json
from calorimeter.core.shown_text import some
from calorimeter.core.toml import Model

Figure = int | float | str | bool | None

SCHEMA = 1
"""`schema_version` of verdicts.json."""

SHOWN_COUNTER_EXAMPLES = 10


class Outcome(StrEnum):
    """PASS: proven. FAIL: refuted. INCONCLUSIVE: neither. NOT RUN: the gate did not run."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT RUN"


class Judgement(Model):
    """A check's conclusion from its evidence.

    `why` is one sentence. `figures` have their unit in the name (`outage_s`). `counter_examples` quote the
    evidence that refutes the property.
    """

    outcome: Outcome
    why: str
    figures: dict[str, Figure] = {}
    counter_examples: tuple[str, ...] = ()


def passed(why: str, **figures: Figure) -> Judgement:
    """The evidence proves the property."""
    return Judgement(outcome=Outcome.PASS, why=why, figures=figures)


def failed(why: str, counter_examples: Sequence[str] = (), **figures: Figure) -> Judgement:
    """The evidence refutes the property. Keeps at most ten counter-examples and counts the rest."""
    shown = tuple(counter_examples[:SHOWN_COUNTER_EXAMPLES])
    if len(counter_examples) > len(shown):
        shown += (f"… and {len(counter_examples) - len(shown)} more",)
    return Judgement(outcome=Outcome.FAIL, why=why, figures=figures, counter_examples=shown)


def inconclusive(why: str, **figures: Figure) -> Judgement:
    """The evidence neither proves nor refutes the property."""
    return Judgement(outcome=Outcome.INCONCLUSIVE, why=why, figures=figures)


def not_run(why: str, **figures: Figure) -> Judgement:
    """The property is not promised, so there is nothing to judge."""
    return Judgement(outcome=Outcome.NOT_RUN, why=why, figures=figures)


GateId = Annotated[str, Field(max_length=100)]


class Verdict(Model):
    """A gate's judgement, with what a reader needs to understand it.

    `guide` quotes the sentence of the guide that the gate tests. `waived` is the owner's reason if
    `deployment.toml` waives the gate. `evidence` names the files that the judgement is based on, relative
    to the run folder.
    """

    gate: GateId
    heading: str
    guide: str
    judgement: Judgement
    waived: str | None = None
    evidence: tuple[str, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether an acceptance run with this verdict can exit with status 0."""
        return self.judgement.outcome is Outcome.PASS or self.waived is not None

    @property
    def refuses(self) -> bool:
        """Whether this verdict stands against acceptance; a gate that did not run does not."""
        return not self.acceptable and self.judgement.outcome is not Outcome.NOT_RUN


class Verdicts(Model):
    """All verdicts of one run: the content of verdicts.json."""

    schema_version: int = SCHEMA
    verdicts: tuple[Verdict, ...] = ()

    def of(self, gate: str) -> Verdict:
        """The verdict of one gate. Raises KeyError without a verdict."""
        for verdict in self.verdicts:
            if verdict.gate == gate:
                return verdict
        raise KeyError(gate)

    def merged(self, newer: Iterable[Verdict]) -> Verdicts:
        """These verdicts, replaced by `newer` ones of the same gates, in order of gate id."""
        by_gate = {verdict.gate: verdict for verdict in (*self.verdicts, *newer)}
        return Verdicts(verdicts=tuple(by_gate[gate] for gate in sorted(by_gate, key=gate_order)))


def count(verdicts: Sequence[Verdict]) -> str:
    """`35 PASS, 1 FAIL (1 waived), 1 NOT RUN of 37 gates`."""
    counted = []
    for outcome in Outcome:
        judged = [each for each in verdicts if each.judgement.outcome is outcome]
        waived = outcome is not Outcome.PASS and sum(each.waived is not None for each in judged)
        counted += [f"{len(judged)} {outcome.value}" + f" ({waived} waived)" * bool(waived)] * bool(judged)
    return f"{', '.join(counted) or 'nothing'} of {some(len(verdicts), 'gate')}"


def gate_order(gate: str) -> tuple[str, int]:
    """Sort key of gate ids: A1, A2, … A10, E1 …"""
    digits = "".join(c for c in gate if is_digits(c))
    return gate.rstrip("0123456789"), int(digits[:9] or 0)


def read(path: Path) -> Verdicts:
    """Read a verdicts.json. Raises InputError if it is unreadable, damaged or of another version."""
    try:
        tree = files.read_json(path, limit=recorded_json.LIMIT, within=path.parent)
        version = tree.get("schema_version") if isinstance(tree, dict) else None
        if version != SCHEMA:
            raise InputError(str(path), f"schema_version {version!r:.40}", f"valid: {SCHEMA}")
        return recorded_json.validated(tree, Verdicts, str(path))
    except InputError as problem:
        if not problem.given.startswith("is damaged: "):
            raise
        why = problem.given.removeprefix("is damaged: ")
        raise InputError(str(path), f"is not a verdicts.json ({why})") from problem


def write(verdicts: Verdicts, path: Path) -> None:
    """Replace verdicts.json. Raises InputError if it cannot be written."""
    files.write(path, verdicts.model_dump_json(indent=2) + "\n")


def add(newer: Iterable[Verdict], path: Path) -> None:
    """Add verdicts to a verdicts.json, in place of those of the same gates.

    Raises InputError if the file is damaged or cannot be written.
    """
    known = read(path) if path.exists() else Verdicts()
    write(known.merged(newer), path)
