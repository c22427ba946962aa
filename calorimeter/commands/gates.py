"""The command `gates`: what each gate proves, and where its code and documentation are."""

from __future__ import annotations

import inspect
import json
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from calorimeter.core import terminal

if TYPE_CHECKING:
    from calorimeter.gates.registry import Gate

WIDE = 150
"""Columns from which the list is a table with one row for each gate."""


@click.command()
@click.argument("gate_id", required=False, metavar="[GATE]")
@click.option("--json", "as_json", is_flag=True, help="JSON output, for programs (default: text).")
def gates(gate_id: str | None, as_json: bool) -> int:
    """List all gates, or show one GATE in detail.

    The list has each gate's heading, the sentence of the guide that it tests, the consent that it needs,
    the parts of a deployment that it needs (as `calorimeter doctor` names them), and its file. GATE adds
    what it breaks; its experiment with the evidence readers that its module imports, the evidence record
    and the check; the sabotages that `calorimeter lab sabotage` lists for it; and what the docs say about
    it.

    Exit status: 0; 2 no gate has that id.
    """
    from calorimeter.core.errors import unknown
    from calorimeter.gates.registry import known

    found = known()
    if gate_id is None:
        if as_json:
            click.echo(json.dumps([_fields(gate) for gate in found.values()], indent=2, ensure_ascii=False))
        else:
            _list(found.values())
        return 0
    if gate_id.upper() not in found:
        raise unknown("gates", "gate", gate_id, found)
    gate = found[gate_id.upper()]
    if as_json:
        click.echo(json.dumps(_fields(gate) | _details(gate), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_page(gate)))
    return 0


def _fields(gate: Gate) -> dict[str, Any]:
    """What the list shows of a gate."""
    from calorimeter.gates.gate_source import place

    where = place(gate.function)
    return {
        "id": gate.id,
        "heading": gate.heading,
        "guide": " ".join(gate.guide.split()),
        "consent": gate.consent.value,
        "needs": list(gate.needs),
        "file": f"{where.file}:{where.line}",
    }


def _details(gate: Gate) -> dict[str, Any]:
    """What `calorimeter gates GATE` adds."""
    from calorimeter.gates import gate_docs
    from calorimeter.gates.gate_source import source
    from calorimeter.lab.sabotage.found_by import RED_IN_TESTS, sabotages

    code = source(gate)
    named, passages = gate_docs.about(gate.id)
    return {
        "description": (inspect.getdoc(gate.function) or "").partition("\n")[2].strip(),
        "breaks": [str(each) for each in gate.breaks],
        "may_break": [str(each) for each in gate.may_break],
        "function": gate.function.__name__,
        "experiment": str(code.experiment) if code.experiment else None,
        "check": str(code.check) if code.check else None,
        "record": str(code.record) if code.record else None,
        "evidence": f"evidence/{code.evidence}" if code.evidence else None,
        "readers": list(code.readers),
        "sabotages": sabotages(gate.id),
        "red_in": RED_IN_TESTS.get(gate.id),
        "golden": list(code.golden),
        "docs": [
            *({"link": section.link, "text": section.text} for section in named),
            *({"link": section.link, "text": passage} for section, passage in passages),
        ],
    }


def _list(found: Iterable[Gate]) -> None:
    width = shutil.get_terminal_size().columns
    if width < WIDE:
        click.echo("\n".join(line for gate in found for line in _entry(gate, width)))
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("gate", "heading", "guide", "consent", "needs", "file"):
        table.add_column(column, overflow="fold", no_wrap=column in {"gate", "consent", "file"})
    for gate in found:
        fields = _fields(gate)
        table.add_row(*(", ".join(v) if isinstance(v, list) else v for v in fields.values()))
    terminal.console(width=width).print(table)


def _entry(gate: Gate, width: int) -> Iterator[str]:
    """A gate in the list of a narrow terminal."""
    fields = _fields(gate)
    yield from _wrapped(f"{gate.id:<4} ", gate.heading, width)
    yield from _wrapped("       guide    ", fields["guide"] or "none", width)
    consent = f"{gate.consent.value}; needs {', '.join(gate.needs) or 'nothing else'}"
    yield from _wrapped("       consent  ", consent, width)
    yield f"       file     {fields['file']}"


def _page(gate: Gate) -> Iterator[str]:
    """The details of one gate, as text."""
    width = min(shutil.get_terminal_size().columns, 100)
    shown = _fields(gate) | _details(gate)
    yield from _wrapped(f"{gate.id}  ", gate.heading, width)
    for paragraph in filter(None, shown["description"].split("\n\n")):
        yield ""
        yield from _wrapped("", paragraph, width)
    yield ""
    labelled = {
        "guide": shown["guide"] or "none",
        "consent": shown["consent"],
        "needs": ", ".join(gate.needs) or "nothing else",
        "breaks": ", ".join(shown["breaks"]) or "nothing",
        "may break": ", ".join(shown["may_break"]),
        "gate": f"{shown['function']} ({shown['file']})",
        "experiment": shown["experiment"],
        "readers": ", ".join(shown["readers"]),
        "record": shown["record"],
        "evidence": shown["evidence"] and f"{shown['evidence']} of the run folder",
        "check": shown["check"],
        "sabotage": ", ".join(shown["sabotages"]) or "none that `calorimeter lab sabotage` lists",
        "red in": shown["red_in"],
        "golden": ", ".join(shown["golden"]),
    }
    for label, text in labelled.items():
        if text:
            yield from _wrapped(f"{label:<12}", text, width)
    for link, texts in groupby(shown["docs"], lambda each: each["link"]):
        yield from ("", f"docs: {link}")
        for each in texts:
            yield from ("", each["text"])


def _wrapped(label: str, text: str, width: int) -> list[str]:
    """Lines of at most `width` columns; those after the first are indented by the label's length."""
    wrapper = textwrap.TextWrapper(width, label, " " * len(label), break_long_words=False)
    wrapper.break_on_hyphens = False
    return wrapper.wrap(text) or [label]
