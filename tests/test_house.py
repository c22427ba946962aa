"""The house: what import-linter does not see.

An import counts if it runs when its module is imported: not in a function, nor under `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from calorimeter.gates import gate_source, registry
from tests.places import CLONE

HOUSE = CLONE / "calorimeter"
FOLDERS = ("calorimeter", "verify", "loadtests", "tests")
LONGEST = 400
NETWORK = {
    "asyncio",
    "gevent",
    "keystoneauth1",
    "pika",
    "pymysql",
    "requests",
    "socket",
    "ssl",
    "subprocess",
}


@cache
def modules() -> dict[str, Path]:
    """Every module of the package."""
    names = {".".join(path.relative_to(CLONE).with_suffix("").parts): path for path in HOUSE.rglob("*.py")}
    return {name.removesuffix(".__init__"): path for name, path in names.items()}


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported."""
    for one in body:
        yield one
        if not (isinstance(one, ast.If) and "TYPE_CHECKING" in ast.unparse(one.test)):
            for block in ("body", "orelse", "finalbody"):
                if not isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield from statements(getattr(one, block, []))


@cache
def tree(name: str) -> ast.Module:
    """The syntax tree of a module."""
    return ast.parse(modules()[name].read_text("utf-8"))


@cache
def imports(name: str) -> frozenset[str]:
    """The modules that a module imports when it is imported itself."""
    found = set()
    for one in statements(tree(name).body):
        if isinstance(one, ast.Import):
            found |= {alias.name for alias in one.names}
        elif isinstance(one, ast.ImportFrom):
            names = ((f"{one.module}.{alias.name}", str(one.module)) for alias in one.names)
            found |= {full if full in modules() else module for full, module in names}
    return frozenset(found)


def reached(name: str) -> set[str]:
    """All modules that are imported with a module, and the packages around them."""
    found, left = {name}, [name]
    while left:
        last = left.pop()
        new = (imports(last) | {last.rpartition(".")[0]}) - found
        found |= new
        left += new & modules().keys()
    return found


def check_modules() -> set[str]:
    """The modules with the checks of the gates."""
    checks = [gate_source.source(gate).check for gate in registry.known().values()]
    files = [CLONE / check.file for check in checks if check]
    return {name for name, path in modules().items() if path in files}


@pytest.mark.slow
def test_imports_have_no_cycle() -> None:
    """Modules can be read in an order in which each uses only earlier ones."""
    TopologicalSorter({name: imports(name) & modules().keys() for name in modules()}).prepare()


def test_no_file_is_too_long() -> None:
    """A file can be read at one sitting."""
    files = [path for folder in FOLDERS for path in (CLONE / folder).rglob("*.py")]
    assert {path for path in files if len(path.read_text("utf-8").splitlines()) > LONGEST} == set()


def test_the_top_level_has_one_package() -> None:
    """Beside the package, Python is in the folders of gates, locustfile and tests, and in `conftest.py`."""
    assert {path.parent.name for path in CLONE.glob("*/*.py")} == set(FOLDERS)
    assert {path.parent.name for path in CLONE.glob("*/__init__.py")} == {"calorimeter"}
    assert {path.name for path in CLONE.glob("*.py")} == {"conftest.py"}


@pytest.mark.parametrize("kind", ["class", "module"])
def test_names_are_unique(kind: str) -> None:
    """A class, or a module that is no command, has a name of its own in the whole package."""
    if kind == "module":
        names = [path.stem for path in HOUSE.rglob("*.py") if path.parent.name != "commands"]
        names = [name for name in names if not name.startswith("__")]
    else:  # a syntax tree of the whole package takes seconds
        text = "\n".join(path.read_text("utf-8") for path in modules().values())
        names = re.findall(r"^class ([^\W_]\w*)", text, re.MULTILINE)
        assert len(names) > 300
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.slow  # syntax trees of half the package
def test_checks_touch_no_network() -> None:
    """Neither a check's module nor one that it imports can reach a deployment or start a program."""
    checks = check_modules()
    assert len(checks) > 20
    found = {name: {other.partition(".")[0] for other in reached(name)} & NETWORK for name in checks}
    assert {name: network for name, network in found.items() if network} == {}


def test_statistics_stand_alone_and_print_nothing() -> None:
    """Statistics import nothing of the suite, and leave it to their callers to show figures."""
    for name in modules():
        if name.startswith("calorimeter.core.statistics"):
            others = {other for other in imports(name) if other.startswith("calorimeter.")}
            assert all(other.startswith("calorimeter.core.statistics") for other in others), name
            names = {one.id for one in ast.walk(tree(name)) if isinstance(one, ast.Name)}
            assert "print" not in names, name
