"""Scenario files: what is right is read, what is wrong is one clear line."""

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
    """The scenario of this text, its operations checked."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    scenario = catalogue.read(path)
    operation_table.check(scenario)
    return scenario


@pytest.mark.parametrize("name", catalogue.names())
def test_catalogue_is_readable(name: str) -> None:
    """Every scenario of the catalogue loads, bears its file's name and is explained in a paragraph."""
    scenario = catalogue.read(catalogue.find(name))
    operation_table.check(scenario)
    assert scenario.name == name
    assert len(scenario.about.split()) > 20
    assert scenario.objectives


def test_catalogue_covers_what_is_asked_of_it() -> None:
    """Each kind of load that the documentation names is a scenario."""
    assert {
        *("read-mostly", "create-storm", "steady-mixed", "cfn-heavy", "soak", "spike", "step"),
        *("big-stacks", "noisy-neighbour", "whole-api"),
    } <= set(catalogue.names())


def test_whole_api_has_every_operation() -> None:
    """The scenario that shows that all of it is answered leaves out only what Heat cannot."""
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
    """What a template has is what users do with its stacks: resources, handles to signal, files to send."""
    read = template.read("here", catalogue.TEMPLATES / name)
    assert (len(read.resources), dict(read.waits), sorted(read.files)) == (resources, waits, files)
    assert bool(read.signal_outputs) is (name in ("waits-urls.json", "scales.yaml"))
    assert {"value", "hold_s"} <= read.parameters


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: [", "is neither YAML nor JSON"),
        ("a: 1", "a template has resources"),
        ("resources: {one: {type: part.yaml}}", "needs 'part.yaml'"),
    ],
)
def test_wrong_template_is_one_line(text: str, line: str, tmp_path: Path) -> None:
    """A template that is none, or that lacks a file, says which and what."""
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
    """What is left out has its documented default, and the template's text is there."""
    scenario = read(GOOD, tmp_path)
    assert (scenario.seed, scenario.warm_up_s, scenario.think_s) == (1, 0.0, (0.0, 0.0))
    assert scenario.rest is not None
    assert scenario.rest.templates[0].text.startswith("heat_template_version")


def test_template_beside_the_scenario_comes_first(tmp_path: Path) -> None:
    """A template of that name in the scenario's own folder is the one meant."""
    (tmp_path / "tiny.yaml").write_text("resources: {mine: {type: OS::Heat::None}}")
    scenario = read(GOOD, tmp_path)
    assert scenario.rest is not None and list(scenario.rest.templates[0].resources) == ["mine"]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("list = 1", "lits = 1",
         "unknown operation 'lits'; valid: see docs/reference/operations.md; did you mean"),
        ("list = 1", 'list = "much"', "rest.mix.list: 'much' given; input should be a valid number"),
        ("list = 1", "list = -1", "rest.mix.list: -1 given; input should be greater than 0"),
        ("list = 1", "", "rest.mix: "),
        ("tiny.yaml", "tini.yaml", "rest.template: no such template 'tini.yaml'; valid: "),
        ("list = 1", "show = 1", "rest.mix: 'show' needs a stack; valid: with create or adopt in the mix"),
        ("list = 1", "create = 1\nsignal = 1", "'signal' needs a template with a resource that takes"),
        ("list = 1", "ListStacks = 1", "rest.mix: unknown operation 'ListStacks'"),
        ('"tiny.yaml"', "[]", "rest.template: names no template"),
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
    """Each mistake gives one line that says where, what was given and what is valid."""
    with pytest.raises(InputError) as problem:
        read(GOOD.replace(old, new), tmp_path)
    text = str(problem.value)
    assert line in text
    assert text.startswith(str(tmp_path / "mine.toml"))
    assert "\n" not in text


def test_scenario_without_users_of_any_api(tmp_path: Path) -> None:
    """A scenario needs one of the APIs."""
    with pytest.raises(InputError, match=r"needs a \[rest\] or a \[cfn\] table"):
        read(GOOD.partition("[rest]")[0], tmp_path)


def test_names_and_paths_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare name, the catalogue's path from anywhere, and any path of a file."""
    monkeypatch.chdir(tmp_path)
    expected = catalogue.CATALOGUE / "first-mix.toml"
    assert catalogue.find("first-mix") == expected
    assert catalogue.find("scenarios/first-mix.toml") == expected
    (tmp_path / "own.toml").write_text(GOOD)
    assert catalogue.find("own.toml") == Path("own.toml")


@pytest.mark.parametrize("given", ["frist-mix", "scenarios/frist-mix.toml"])
def test_unknown_scenario_has_a_nearest_name(given: str) -> None:
    """A misspelt name or path says what there is."""
    with pytest.raises(InputError, match="did you mean 'first-mix'"):
        catalogue.find(given)


def test_page_explains_every_scenario() -> None:
    """docs/reference/scenarios.md has the paragraph of each scenario of the catalogue."""
    page = (DOCS / "reference/scenarios.md").read_text()
    for name in catalogue.names():
        assert f"### `{name}`\n\n{catalogue.read(catalogue.find(name)).about.strip()}\n" in page


def test_digests_are_of_each_template_and_what_it_needs(tmp_path: Path) -> None:
    """As `sha256sum` says them, by name; another text beside the same scenario has another digest."""
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
    after = read(text, tmp_path).instead(users=5).digests
    assert after == before | {"tiny.yaml": hashlib.sha256(edited.encode()).hexdigest()}
