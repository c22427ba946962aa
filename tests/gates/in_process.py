"""Gates in this process: as `calorimeter verify` judges them, without a new interpreter each time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import getmembers, isfunction
from pathlib import Path

import pytest

from calorimeter.core.verdict import Verdict
from calorimeter.gates import registry
from calorimeter.gates.context import Settings
from calorimeter.gates.judge import Given, Judge, Session
from calorimeter.gates.registry import Gate, known


def verified(deployment: Path, gates: str, runs: Path, **strength: int) -> dict[str, Verdict]:
    """Run gates on a deployment: gate → verdict. Parts of what is no lab are broken, too."""
    session = Session.prepare(
        Given(str(deployment), gates, None, runs, Settings(**strength), yes_break_it=True)
    )
    with session.context as context:
        for gate, function in _in_order():
            if gate.id not in session.allowed:
                continue
            try:
                function(context, Judge(session, gate))
            except pytest.fail.Exception:
                continue  # its verdict is kept
            except Exception as problem:
                session.broken(gate, problem)
    return session.new


def _in_order() -> list[tuple[Gate, Callable[..., None]]]:
    """All gates with their functions, in pytest's order: what is visited first is visited undisturbed."""
    found: list[tuple[Gate, Callable[..., None]]] = []
    known()
    for name in sorted(name for name in sys.modules if name.startswith(f"{registry.__name__}.test_")):
        module = sys.modules[name]
        functions = [function for _, function in getmembers(module, isfunction)]
        for function in sorted(functions, key=lambda each: each.__code__.co_firstlineno):
            marks = [mark for mark in getattr(function, "pytestmark", ()) if mark.name == "gate"]
            found += [(mark.args[0], function) for mark in marks]
    return found
