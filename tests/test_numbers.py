"""Every number that a user can give has bounds: the command line, files, and what reads digits."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import click
import pytest
from pydantic import BaseModel, ValidationError

from calorimeter.commands.lab_options import TimeoutsParam, WordsParam
from calorimeter.commands.param_types import NumberParam
from calorimeter.commands.run import ProcessesParam
from calorimeter.config.generate.topology import Topology
from calorimeter.core.bounds import Bounds
from calorimeter.core.deployment import Deployment
from calorimeter.core.faults.schedule import Schedule
from calorimeter.core.toml import Model
from calorimeter.gates.verify_options import OPTIONS, BoundedNumber
from calorimeter.lab.lab_topology import LabTopology
from calorimeter.workload.scenario import Scenario
from tests.every_command import commands
from tests.places import CLONE

WRITTEN = (Deployment, Scenario, Schedule, Topology, LabTopology)
"""What people write, and the lab's own state."""

WRITTEN_FILES = {
    Deployment: "deployment.toml",
    Scenario: "scenario",
    Schedule: "fault schedule",
    Topology: "topology.toml",
}

WITHOUT_NUMBERS = (click.Path, click.Choice, click.types.StringParamType, click.types.BoolParamType)
WITHOUT_NUMBERS += (click.types.UnprocessedParamType, TimeoutsParam, WordsParam)


@cache
def params() -> dict[str, click.Parameter]:
    """Every argument and option of every command, by the words of the command and its name."""
    return {
        f"{' '.join(words)} {param.name}": param
        for words, command in commands().items()
        for param in command.params
    }


def unbounded(param: click.Parameter) -> str:
    """Why a parameter could take a number without bounds; empty if it cannot."""
    if isinstance(param.type, NumberParam):
        within = param.type.within
        return "" if math.isfinite(within.least) and math.isfinite(within.most) else "infinite bounds"
    numeric = isinstance(param.default, int | float) and not isinstance(param.default, bool)
    if numeric and not getattr(param, "is_flag", False):
        return f"{param.type} with the number {param.default} as default"
    return "" if isinstance(param.type, WITHOUT_NUMBERS) else f"{param.type}"


def test_every_number_of_the_command_line_has_bounds() -> None:
    """No option takes a number by another type than NumberParam, whose bounds are finite."""
    assert {name: why for name, param in params().items() if (why := unbounded(param))} == {}
    assert sum(isinstance(param.type, NumberParam) for param in params().values()) > 40


@pytest.mark.parametrize(
    "param",
    [
        click.Option(["--a"], type=int),
        click.Option(["--a"], type=click.IntRange(1)),
        click.Option(["--a"], type=click.FloatRange(0, 1)),
        click.Option(["--a"], default=1.0),
        click.Option(["--a"], type=NumberParam(Bounds(1, math.inf))),
    ],
)
def test_the_rule_finds_an_option_without_bounds(param: click.Option) -> None:
    """The rule has been red: each of these options takes a number without both bounds."""
    assert unbounded(param)


@pytest.mark.parametrize("text", ["²", "-1", "nan", "1e999", "9" * 5000, "0x1", "1_0", "x", ""])
def test_every_option_refuses_with_its_range(text: str) -> None:
    """One line, with what was given in part, and the valid range."""
    for name, param in params().items():
        if isinstance(param.type, NumberParam):
            with pytest.raises(click.BadParameter) as refused:
                param.type.convert(text, param, None)
            assert "given; valid: a" in refused.value.message, name
            assert "\n" not in refused.value.message and len(refused.value.message) < 250, name


def test_every_number_of_an_acceptance_run_has_bounds() -> None:
    """`pytest --deployment` and `calorimeter verify` have the same limits."""
    for name, option in OPTIONS.items():
        assert (
            isinstance(option.type, BoundedNumber)
            or not isinstance(option.default, int)
            or option.type is None
        ), name


def numbers(annotation: Any, bound: bool = False) -> Iterator[bool]:
    """For each int or float in an annotation: whether it has bounds."""
    if get_origin(annotation) is Annotated:
        of, *marks = get_args(annotation)
        yield from numbers(of, bound or any(isinstance(mark, Bounds) for mark in marks))
    elif annotation in (int, float):
        yield bound
    else:
        for inner in get_args(annotation):
            yield from numbers(inner, bound)


def models(root: Any) -> Iterator[type[BaseModel]]:
    """A model and all models in its fields."""
    if isinstance(root, type) and issubclass(root, BaseModel):
        yield root
        for hint in get_type_hints(root, include_extras=True).values():
            yield from models(hint)
    else:
        for inner in get_args(root):
            yield from models(inner)


def test_every_number_of_a_file_has_bounds() -> None:
    """No field of what people write takes a number by another type than one with bounds."""
    found, count = [], 0
    for model in {model for root in WRITTEN for model in models(root)}:
        hints = get_type_hints(model, include_extras=True)
        for name in model.model_fields:
            of_field = list(numbers(hints[name]))
            count += len(of_field)
            found += [f"{model.__name__}.{name}"] if not all(of_field) else []
    assert found == []
    assert count > 60


def test_the_documentation_lists_every_bound() -> None:
    """docs/reference/numbers.md has a row for each option and key; the test's message is the row to add."""
    page = (CLONE / "docs/reference/numbers.md").read_text("utf-8")
    rows = [f"| `{words}` | {param.type.within.range} |" for words, param in named_options()]
    for root, file in WRITTEN_FILES.items():
        rows += [f"| {file} | `{key}` | {within.range} |" for key, within in keys(root, "")]
    assert [row for row in rows if row not in page] == []
    assert sum(line.startswith("| ") and ".." in line for line in page.splitlines()) == len(set(rows))


def named_options() -> Iterator[tuple[str, click.Parameter]]:
    """`run --users`, and its parameter, for each option whose bounds are not those of the machine."""
    for words, param in params().items():
        if isinstance(param.type, NumberParam) and not isinstance(param.type, ProcessesParam):
            yield f"{words.rpartition(' ')[0]} {param.opts[0]}", param


def keys(hint: Any, key: str, within: Bounds | None = None) -> Iterator[tuple[str, Bounds]]:
    """`proxy[].checks.inter_s`, and its bounds, for each number below a model or an annotation."""
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        for name, inner in get_type_hints(hint, include_extras=True).items():
            if name in hint.model_fields:
                yield from keys(inner, f"{key}.{name}".lstrip("."))
    elif get_origin(hint) is Annotated:
        of, *marks = get_args(hint)
        yield from keys(of, key, next((mark for mark in marks if isinstance(mark, Bounds)), within))
    elif hint in (int, float) and within is not None:
        yield key, within
    else:
        several = {tuple: "[]", dict: ".NAME"}.get(get_origin(hint) or type, "")
        for inner in get_args(hint):
            yield from keys(inner, key + several, within)


def test_the_rule_finds_a_field_without_bounds() -> None:
    """The rule has been red: a bare number, also within a table or a list."""
    for annotation in (int, float | None, dict[str, int], tuple[Annotated[float, "x"], ...]):
        assert not all(numbers(annotation))


def subclasses(of: type[Model]) -> Iterator[type[Model]]:
    """Every model of the package."""
    for each in of.__subclasses__():
        if each.__module__.startswith("calorimeter."):
            yield each
        yield from subclasses(each)


def limited(schema: Any) -> Iterator[bool]:
    """For each number in a schema of pydantic: whether an integer has 64 bits, a real number is finite."""
    if isinstance(schema, dict):
        if schema.get("type") == "int":
            yield schema["ge"] >= -(2**63) and schema["le"] < 2**63
        elif schema.get("type") == "float":
            yield schema["allow_inf_nan"] is False
        for inner in schema.values():
            yield from limited(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from limited(inner)


@pytest.mark.slow  # every module with a record is imported
def test_every_number_of_a_record_is_finite_and_has_64_bits() -> None:
    """Also in records that only the suite writes: somebody may have changed them."""
    for file in (CLONE / "calorimeter").rglob("*.py"):
        if "(Model):" in file.read_text("utf-8"):
            import_module(".".join(file.relative_to(CLONE).with_suffix("").parts))
    found = [each for model in set(subclasses(Model)) for each in limited(model.__pydantic_core_schema__)]
    assert all(found) and len(found) > 300


class Measured(Model):
    """A record as the suite writes them."""

    count: int
    seconds: float | None = None


@pytest.mark.parametrize("written", ['{"count": 1%s}' % ("0" * 400), '{"count": 1, "seconds": NaN}'])
def test_a_record_with_a_number_beyond_the_machine_is_refused(written: str) -> None:
    """An integer of 400 digits would break whatever computes with it, NaN would spread."""
    with pytest.raises(ValidationError):
        Measured.model_validate_json(written)


def test_digits_are_read_in_one_way() -> None:
    """`str.isdigit` accepts `²`, `str.isdecimal` `٣`: only `bounds.is_digits` may ask for digits."""
    allowed = {"calorimeter/core/bounds.py": "is_digits", "calorimeter/gates/clients/http_get.py": "bytes"}
    found = []
    for file in (CLONE / "calorimeter").rglob("*.py"):
        name = file.relative_to(CLONE).as_posix()
        if name not in allowed and re.search(r"\.is(digit|decimal|numeric)\b", file.read_text("utf-8")):
            found.append(name)
    assert found == []
