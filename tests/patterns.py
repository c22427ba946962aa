"""Every regular expression in the tree, and the texts that are the worst for it."""

from __future__ import annotations

import ast
import importlib
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.places import CLONE

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import sre_constants as kinds
    import sre_parse

CALLS = {"compile", "sub", "subn", "match", "fullmatch", "search", "split", "findall", "finditer"}
FOLDERS = ("calorimeter", "verify", "loadtests", "reports")
FLAGS = {"IGNORECASE": re.I, "I": re.I, "MULTILINE": re.M, "M": re.M, "DOTALL": re.S, "S": re.S}


@dataclass(frozen=True)
class Used:
    """A pattern, where it is, and the ways in which it is used (`search`, `fullmatch`, …)."""

    place: str
    pattern: re.Pattern[str]
    ways: frozenset[str]


def all_patterns() -> Iterator[Used]:
    """The patterns of the tree: what is given to `re`, as it is or made of a module's constants."""
    files = [file for folder in FOLDERS for file in (CLONE / folder).rglob("*.py")] + [
        CLONE / "conftest.py"
    ]
    for file in files:
        if "shipped" not in file.parts:
            yield from _of_file(file)


def _of_file(file: Path) -> Iterator[Used]:
    text = file.read_text("utf-8")
    if "re." not in text:
        return
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if ast.unparse(node.func.value) != "re" or node.func.attr not in CALLS:
            continue
        place = f"{file.relative_to(CLONE)}:{node.lineno}"
        flags = sum(FLAGS.get(name.rpartition(".")[2], 0) for name in _flags(node))
        for source in _texts(_named(node.args[0], tree), file):
            ways = {node.func.attr}
            if node.func.attr == "compile":
                ways = _ways(tree, node) or {"search"}
            yield Used(place, re.compile(source, flags), frozenset(ways))


def _named(node: ast.expr, tree: ast.Module) -> ast.expr:
    """The expression that a local name is bound to, or the expression itself."""
    bound = (
        each.value
        for each in ast.walk(tree)
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == ast.unparse(node)
    )
    return next(bound, node) if isinstance(node, ast.Name) else node


def _flags(node: ast.Call) -> list[str]:
    given = [*node.args[1:], *(word.value for word in node.keywords)]
    return [name for each in given for name in re.findall(r"re\.\w+", ast.unparse(each))]


def _ways(tree: ast.Module, compiled: ast.Call) -> set[str]:
    """The methods that are called on the names that a compiled pattern is bound to."""
    names = {
        ast.unparse(target)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and any(one is compiled for one in ast.walk(node.value))
        for target in node.targets
    }
    uses = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in CALLS)
    found = {node.attr for node in uses if ast.unparse(node.value) in names}
    passed = any(
        isinstance(node, ast.Call) and any(ast.unparse(arg) in names for arg in node.args)
        for node in ast.walk(tree)
    )
    return found | ({"search"} if passed and not found else set())


def _texts(node: ast.expr, file: Path) -> list[str]:
    """The text of a pattern; of one that is made of what only a run knows, with a word in its place."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    scope: dict[str, Any] = {"re": re}
    if file.is_relative_to(CLONE / "calorimeter"):
        name = ".".join(file.relative_to(CLONE).with_suffix("").parts).removesuffix(".__init__")
        scope |= vars(importlib.import_module(name))
    try:
        value = eval(compile(ast.Expression(node), "<pattern>", "eval"), scope)
    except NameError:
        if not isinstance(node, ast.JoinedStr):
            return []
        value = "".join(str(part.value) if isinstance(part, ast.Constant) else "aa" for part in node.values)
    return [value] if isinstance(value, str) else []


# The worst texts


def attacks(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Texts of a length: what may come before a repetition, the repetition many times, and no end."""
    tree = sre_parse.parse(pattern.pattern, pattern.flags & ~re.UNICODE | re.UNICODE)
    pumps = dict.fromkeys(_pumps(tree))
    for before, again in pumps:
        for after in ("\0", "", "\n\0", "a"):
            times = max(1, (length - len(before)) // max(1, len(again)))
            yield before + again * times + after


def _pumps(tree: Any) -> Iterator[tuple[str, str]]:
    """(text before, text to repeat): each repetition of the pattern, and pairs of them."""
    singles: list[tuple[str, str]] = []
    _walk(tree, "", singles)
    yield from singles
    bodies = list(dict.fromkeys(again for _, again in singles))
    yield from (("", one) for one in bodies)
    whole = _sample(tree, 0)
    least = _sample(tree, 2)
    begins = (text[:n] for text in (whole, least) for n in range(1, min(len(text), 24)))
    for text in sorted({whole, least, _sample(tree, 1), *begins} - {""}):
        yield "", text
        yield "", f"{text}-"
    for one in bodies[:6]:
        yield from (("", one + two) for two in bodies[:6] if one != two)


def _walk(tree: Any, before: str, found: list[tuple[str, str]]) -> None:
    for kind, value in tree:
        if kind in REPEATS:
            _, most, body = value
            if most > 1:
                found += [(before, text) for text in {_sample(body, 0), _sample(body, 1)} if text]
            _walk(body, before, found)
        elif kind is kinds.SUBPATTERN:
            _walk(value[3], before, found)
        elif kind is kinds.BRANCH:
            for branch in value[1]:
                _walk(branch, before, found)
        elif kind in (kinds.ASSERT, kinds.ASSERT_NOT):
            _walk(value[1], before, found)
        before += _sample([(kind, value)], 0)


REPEATS = {kinds.MAX_REPEAT, kinds.MIN_REPEAT, getattr(kinds, "POSSESSIVE_REPEAT", kinds.MAX_REPEAT)}
_OF_CLASS = {
    kinds.CATEGORY_DIGIT: "1",
    kinds.CATEGORY_NOT_DIGIT: "a",
    kinds.CATEGORY_SPACE: " ",
    kinds.CATEGORY_NOT_SPACE: "a",
    kinds.CATEGORY_WORD: "a",
    kinds.CATEGORY_NOT_WORD: "-",
}


def _sample(tree: Any, choice: int) -> str:
    """A text that a part of a pattern matches; `choice` takes other branches and characters."""
    text = ""
    for kind, value in tree:
        if kind is kinds.LITERAL:
            text += chr(value)
        elif kind is kinds.NOT_LITERAL:
            text += "a" if chr(value) != "a" else "b"
        elif kind is kinds.ANY:
            text += "a"
        elif kind is kinds.IN:
            text += _of_set(value, choice)
        elif kind in REPEATS:
            least, most, body = value
            text += _sample(body, choice) * max(least, min((1, 2, 0)[choice], most))
        elif kind is kinds.SUBPATTERN:
            text += _sample(value[3], choice)
        elif kind is kinds.BRANCH:
            branches = value[1]
            text += _sample(branches[choice % len(branches)], choice)
    return text


def _of_set(items: Any, choice: int) -> str:
    if items[0][0] is kinds.NEGATE:
        ours = re.compile("[" + "".join(_set_text(item) for item in items[1:]) + "]")
        return next((c for c in ("a", "1", " ", ":", "-", ".", "\t")[choice:] if not ours.match(c)), "a")
    kind, value = items[choice % len(items)]
    if kind is kinds.LITERAL:
        return chr(value)
    return chr(value[0]) if kind is kinds.RANGE else _OF_CLASS.get(value, "a")


def _set_text(item: Any) -> str:
    kind, value = item
    if kind is kinds.LITERAL:
        return re.escape(chr(value))
    if kind is kinds.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    return {"1": r"\d", " ": r"\s", "a": r"\w", "-": r"\W"}[_OF_CLASS[value]]
