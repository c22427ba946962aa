"""Scenario files: valid ones are read, and each mistake is reported as one line."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from calorimeter.core.errors import InputError
from calorimeter.load.operations import cfn_operations, operation_table
from calorimeter.workload import catalogue, template
from calorimeter.workload.scenario import Scenario
from tests.places import DOCS

GOOD = """
name = "mine"
about = "A test."
users = 3
duration_s = 10
[rest]
template = "tiny.yaml"
[rest.mix]
list = 1
"""


def read(text: str, tmp_path: Path) -> Scenario:
    """Read the scenario in `text`, and check its operations."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    scenario = catalogue.read(path)
    operation_table.check(scenario)
    return scenario


@pytest.mark.parametrize("name", catalogue.names())
def test_catalogue_is_readable(name: str) -> None:
    """Every scenario of the catalogue can be read, has its file's name, an explanation and objectives."""
    scenario = catalogue.read(catalogue.find(name))
    operation_table.check(scenario)
    assert scenario.name == name
    assert len(scenario.about.split()) > 20
    assert scenario.objectives


def test_catalogue_has_every_kind_of_load() -> None:
    """There is a scenario for each kind of load that the documentation names."""
    assert {
        *("read-mostly", "create-storm", "steady-mixed", "cfn-heavy", "soak", "spike", "step"),
        *("big-stacks", "noisy-neighbour", "whole-api"),
    } <= set(catalogue.names())


def test_whole_api_has_every_operation() -> None:
    """`whole-api` has all operations except those that are broken in Heat."""
    scenario = catalogue.read(catalogue.find("whole-api"))
    for api in ("rest", "cfn"):
        load = scenario.load(api)
        assert load is not None
        assert set(load.mix) == set(operation_table.mixable(api)) - set(cfn_operations.BROKEN)


@pytest.mark.parametrize(
    ("name", "resources", "waits", "files"),
    [
        ("tiny.yaml", 3, {}, []),
        ("wide.yaml", 30, {}, []),
        ("deep.yaml", 10, {}, []),
        ("nested.yaml", 2, {}, ["nested-part.yaml"]),
        ("waits.yaml", 3, {"handle": 1}, []),
        ("waits-urls.json", 3, {"Handle": 1}, []),
        ("scales.yaml", 3, {}, []),
    ],
)
def test_templates_are_understood(
    name: str, resources: int, waits: dict[str, int], files: list[str]
) -> None:
    """A template has its resources, handles to signal, files to send, signed addresses and parameters."""
    read = template.read("here", catalogue.TEMPLATES / name)
    assert (len(read.resources), dict(read.waits), sorted(read.files)) == (resources, waits, files)
    assert bool(read.signal_outputs) is (name in ("waits-urls.json", "scales.yaml"))
    assert {"value", "hold_s"} <= read.parameters


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ("a: 1", "is not a template; valid: a file with resources"),
        ("resources: {one: {type: part.yaml}}", "needs 'part.yaml'"),
    ],
)
def test_wrong_template_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    """A file that is not a template, or a template whose file is missing, is reported as one line."""
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(InputError, match=line) as problem:
        template.read("mine.toml: rest.template", tmp_path / "t.yaml")
    assert "\n" not in str(problem.value)


def test_first_mix_has_the_first_operations() -> None:
    """The first mix covers list, show, create and delete on both APIs."""
    scenario = catalogue.read(catalogue.find("first-mix"))
    assert scenario.rest is not None and scenario.cfn is not None
    assert set(scenario.rest.mix) == {"list", "show", "create", "delete"}
    assert set(scenario.cfn.mix) == {"ListStacks", "DescribeStacks", "CreateStack", "DeleteStack"}


@pytest.mark.parametrize("file", sorted(catalogue.TEMPLATES.glob("*.json")))
def test_json_templates_are_json(file: Path) -> None:
    """JSON templates parse."""
    assert "Resources" in json.loads(file.read_text())


def test_scenario_with_defaults(tmp_path: Path) -> None:
    """Missing keys have their documented defaults, and the template is read."""
    scenario = read(GOOD, tmp_path)
    assert (scenario.seed, scenario.warm_up_s, scenario.think_s) == (1, 0.0, (0.0, 0.0))
    assert scenario.rest is not None
    assert scenario.rest.templates[0].text.startswith("heat_template_version")


def test_template_beside_the_scenario_comes_first(tmp_path: Path) -> None:
    """A template in the scenario's folder takes precedence over one of the catalogue."""
    (tmp_path / "tiny.yaml").write_text("resources: {mine: {type: OS::Heat::None}}")
    scenario = read(GOOD, tmp_path)
    assert scenario.rest is not None and list(scenario.rest.templates[0].resources) == ["mine"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("list = 1", "lits = 1",
         "unknown operation 'lits'; valid: see docs/reference/operations.md; did you mean"),
        ("list = 1", 'list = "much"', "rest.mix.list: 'much' given; valid: a number from 0.000001"),
        ("list = 1", "list = -1", "rest.mix.list: -1 given; valid: a number from 0.000001 to 1000000"),
        ("list = 1", "", "rest.mix: "),
        ('template = "tiny.yaml"', f'template = "{"x" * 5000}"', "no such template 'xxx"),
        ("tiny.yaml", "tini.yaml", "rest.template: no such template 'tini.yaml'; valid: "),
        ("list = 1", "show = 1", "rest.mix: 'show' needs a stack; valid: with create or adopt in the mix"),
        ("list = 1", "create = 1\nsignal = 1", "'signal' needs a template with a resource that takes"),
        ("list = 1", "ListStacks = 1", "rest.mix: unknown operation 'ListStacks'"),
        ('"tiny.yaml"', "[]", "rest.template: is empty"),
        ('"tiny.yaml"', '["tiny.yaml", "wied.yaml"]', "did you mean 'wide.yaml'?"),
        ("[rest]", "[tenants]\ncount = 2\nshares = [1]\n[rest]", "2 tenants need as many shares"),
        ("users = 3", "user = 3", "user: unknown key 'user'; valid: "),
        ("users = 3", "users = 0", "users: 0 given; "),
        ("users = 3", 'users = "3"', "users: '3' given; "),
        ("users = 3", "", "users is missing"),
        ('name = "mine"', 'name = "Not Mine"', "name: 'Not Mine' given; "),
        ("duration_s = 10", "duration_s = 10\nwarm_up_s = 20", "warm_up_s (20) must be shorter"),
        ("duration_s = 10", "duration_s = 10\nthink_s = [2, 1]", "think_s is [shortest, longest]"),
        ("[rest]", "[rest", "is not valid TOML"),
        ("list = 1", 'list = 1\n[[objectives]]\noperation = "rest.x"', "objectives[1]: unknown"),
    ],
)  # fmt: skip
def test_wrong_scenario_is_one_line(old: str, new: str, line: str, tmp_path: Path) -> None:
    """Each mistake is reported as one line with where, what was given and what is valid."""
    with pytest.raises(InputError) as problem:
        read(GOOD.replace(old, new), tmp_path)
    text = str(problem.value)
    assert line in text
    assert text.startswith(str(tmp_path / "mine.toml"))
    assert "\n" not in text


def test_scenario_without_users_of_any_api(tmp_path: Path) -> None:
    """A scenario needs users of at least one API."""
    with pytest.raises(InputError, match=r"needs a \[rest\] or a \[cfn\] table"):
        read(GOOD.partition("[rest]")[0], tmp_path)


def test_names_and_paths_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario is found by its name, by `scenarios/NAME.toml` from any folder, and by its path."""
    monkeypatch.chdir(tmp_path)
    expected = catalogue.CATALOGUE / "first-mix.toml"
    assert catalogue.find("first-mix") == expected
    assert catalogue.find("scenarios/first-mix.toml") == expected
    (tmp_path / "own.toml").write_text(GOOD)
    assert catalogue.find("own.toml") == Path("own.toml")


@pytest.mark.parametrize("given", ["frist-mix", "scenarios/frist-mix.toml"])
def test_unknown_scenario_has_a_nearest_name(given: str) -> None:
    """The error for a misspelt name or path has the nearest name."""
    with pytest.raises(InputError, match="did you mean 'first-mix'"):
        catalogue.find(given)


def test_page_explains_every_scenario() -> None:
    """docs/reference/scenarios.md contains the `about` text of each scenario."""
    page = (DOCS / "reference/scenarios.md").read_text()
    for name in catalogue.names():
        assert f"### `{name}`\n\n{catalogue.read(catalogue.find(name)).about.strip()}\n" in page


def test_digests_cover_each_template_and_its_files(tmp_path: Path) -> None:
    """They equal the output of `sha256sum`; a changed template has another digest."""
    text = GOOD.replace('"tiny.yaml"', '["tiny.yaml", "nested.yaml"]')
    before = read(text, tmp_path).digests
    assert before == {
        name: hashlib.sha256((catalogue.TEMPLATES / file).read_bytes()).hexdigest()
        for name, file in (
            ("tiny.yaml", "tiny.yaml"),
            ("nested.yaml", "nested.yaml"),
            ("nested.yaml: nested-part.yaml", "nested-part.yaml"),
        )
    }
    edited = (catalogue.TEMPLATES / "tiny.yaml").read_text() + "# edited\n"
    (tmp_path / "tiny.yaml").write_text(edited)
    after = read(text, tmp_path).with_overrides(users=5).digests
    assert after == before | {"tiny.yaml": hashlib.sha256(edited.encode()).hexdigest()}
