"""The code of a gate: its test function, experiment, check and evidence record.

Everything is read from the test function's call `judge(experiment(context), check)`, so it cannot drift.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from calorimeter.core import files
from calorimeter.core.shipped import COPIES, PACKAGE
from calorimeter.gates.registry import Gate

READERS = (
    "calorimeter.gates.evidence.",
    "calorimeter.core.recorded.sample_stream",
    "calorimeter.core.recorded.upgrade_file",
    "calorimeter.config.named_files",
)
"""Modules that read evidence: of a deployment, of a recorded load, of configuration files."""


@dataclass(frozen=True, slots=True)
class CodePlace:
    """A function or class: its name with its module, its file (relative to a clone) and its line."""

    name: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.name} ({self.file}:{self.line})"


@dataclass(frozen=True, slots=True)
class GateSource:
    """The code of a gate. `evidence` is the name of its file in `evidence/` of a run folder.

    `readers` are the modules that read evidence (`READERS`) and that the experiment's module imports,
    directly or through others of the gates; as in `gates.evidence.proxy_log`. `golden` are the test files
    of a clone that give the check literal evidence. All but `function` is None or empty if the test
    function does not call `judge(experiment(…), check)`.
    """

    function: CodePlace
    experiment: CodePlace | None = None
    record: CodePlace | None = None
    check: CodePlace | None = None
    evidence: str | None = None
    readers: tuple[str, ...] = ()
    golden: tuple[str, ...] = ()


def source(gate: Gate) -> GateSource:
    """Find the code of a gate."""
    function = place(gate.function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(gate.function)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    judging = next((c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "judge"), None)
    if judging is None or len(judging.args) < 2:
        return GateSource(function)
    assigned = {
        target.id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    experiment, check = (_resolved(gate.function, argument, assigned) for argument in judging.args[:2])
    name = next((ast.literal_eval(word.value) for word in judging.keywords if word.arg == "name"), gate.id)
    return GateSource(
        function,
        experiment=place(experiment) if experiment else None,
        record=_record(experiment, check),
        check=place(check) if check else None,
        evidence=f"{name}.json",
        readers=tuple(sorted(_readers(inspect.unwrap(experiment).__module__, set()))) if experiment else (),
        golden=_golden(check) if check else (),
    )


def _resolved(function: Callable[..., None], node: ast.expr, assigned: dict[str, ast.expr]) -> Any:
    """The function that an argument of `judge` names or calls; None if it cannot be found."""
    if isinstance(node, ast.Name) and node.id in assigned:
        node = assigned[node.id]
    if isinstance(node, ast.Call):
        node = node.func
    names = ast.unparse(node).split(".")
    found = function.__globals__.get(names[0])
    for name in names[1:]:
        found = getattr(found, name, None)
    return found if callable(found) else None


def _record(experiment: Any, check: Any) -> CodePlace | None:
    """The class of the evidence: what the experiment returns, or else what the check takes."""
    for function, which in ((experiment, -1), (check, 0)):
        try:
            hints = list(get_type_hints(inspect.unwrap(function)).values())
        except (NameError, TypeError):
            continue
        if hints and inspect.isclass(hints[which]):
            return place(hints[which])
    return None


def _readers(module: str, seen: set[str]) -> set[str]:
    """The readers that a module of a gates' folder imports, directly or through others of such folders."""
    if module in seen or not module.startswith("calorimeter.gates.") or module.count(".") < 3:
        return set()
    seen.add(module)
    found = {name.removeprefix("calorimeter.") for name in _imports(module) if name.startswith(READERS)}
    found |= {reader for name in _imports(module) for reader in _readers(name, seen)}
    return found - {"gates.evidence.unavailable"}


@cache
def _imports(module: str) -> frozenset[str]:
    """The modules of the package that a module imports, also in its functions."""
    file = PACKAGE.parent / f"{module.replace('.', '/')}.py"
    return frozenset(
        name
        for node in ast.walk(ast.parse(files.read_text(file)))
        if isinstance(node, ast.ImportFrom) and node.module
        for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        if (PACKAGE.parent / f"{name.replace('.', '/')}.py").is_file()
    )


def _golden(check: Any) -> tuple[str, ...]:
    """The tests of the clone that call a check on literal evidence; empty in a wheel."""
    name = inspect.unwrap(check).__name__.lstrip("_")
    return tuple(file for file, words in _tests().items() if name in words)


@cache
def _tests() -> dict[str, frozenset[str]]:
    """The test files of a clone: path relative to it → the words in it; empty in a wheel."""
    found = [] if COPIES.is_dir() else sorted((PACKAGE.parent / "tests").glob("*/**/test_*.py"))
    return {
        str(file.relative_to(PACKAGE.parent)): frozenset(re.findall(r"\w+", files.read_text(file)))
        for file in found
    }


def place(found: Any) -> CodePlace:
    """Where a function or a class is defined."""
    plain = inspect.unwrap(found)
    file, line = Path(inspect.getsourcefile(plain) or ""), inspect.getsourcelines(plain)[1]
    if file.is_relative_to(PACKAGE.parent):
        file = file.relative_to(PACKAGE.parent)
    return CodePlace(f"{plain.__module__}.{plain.__qualname__}", str(file), line)
