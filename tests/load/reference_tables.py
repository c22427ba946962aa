"""The tables of docs/reference/answers.md and operations.md: `python -m tests.load.reference_tables`."""

from __future__ import annotations

from calorimeter.load.http.answers import MEANINGS
from calorimeter.load.operations.operation import Operation
from calorimeter.load.operations.operation_table import mixable


def answers() -> str:
    """The meanings of answers as a Markdown table."""
    rows = [f"| {row.answer} | {row.outcome} | {row.why} |" for row in MEANINGS]
    return "\n".join(["| answer | outcome | meaning |", "|---|---|---|", *rows])


def operations(api: str) -> str:
    """The operations of one API's users as a Markdown table."""
    head = ["| operation | calls | expects | needs | gives |", "|---|---|---|---|---|"]
    return "\n".join([*head, *(_line(op) for op in mixable(api).values())])


def _line(op: Operation) -> str:
    calls = f"`{op.method} {op.route}`" if op.api == "rest" else f"`{op.name}` of the CFN API"
    if op.route.endswith("/actions") and op.method == "POST" and "lookup" not in op.name:
        calls += f" (`{op.handler}`)"
    needs = ", ".join(needed.name for needed in (op.subject, op.trait) if needed is not None)
    gives = ", ".join(subject.name for subject in op.gives)
    expected = " or ".join(map(str, sorted(op.expected)))
    return f"| `{op.name}` | {calls} | {expected} | {needs} | {gives} |".replace("|  |", "| |")


if __name__ == "__main__":
    print(answers(), operations("rest"), operations("cfn"), sep="\n\n")
