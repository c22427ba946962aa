"""The command `trace`: its arguments, and its output on the lab."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.commands.trace import split, trace
from calorimeter.core.deployment import Deployment
from calorimeter.core.errors import InputError
from calorimeter.core.recorded.rundir import RunDir
from calorimeter.gates.evidence.broker_api import BrokerApi
from calorimeter.gates.request_path.follow import samples

CREATE = Path(__file__).with_name("create_and_delete.py")

LOAD = """
name = "both"
about = "A little of both APIs."
users = 2
spawn_per_s = 10
duration_s = 3
think_s = [0.0, 0.1]
poll_s = 0.5

[rest]
users = 1
template = "tiny.yaml"
stacks_per_user = 1

[rest.mix]
create = 1000
list = 2
show = 1
versions = 1

[cfn]
users = 1
template = "tiny-cfn.json"
stacks_per_user = 1

[cfn.mix]
CreateStack = 1000
ListStacks = 2
DescribeStacks = 1
EstimateTemplateCost = 1
"""
"""Each user creates its one stack first, and then reads."""


@pytest.mark.parametrize(
    ("arguments", "given", "command"),
    [
        (("d.toml", "--", "openstack", "stack", "list"), "d.toml", ["openstack", "stack", "list"]),
        (("d.toml", "openstack", "--", "x"), "d.toml", ["openstack", "--", "x"]),
        (("openstack", "stack", "list"), None, ["openstack", "stack", "list"]),
        (("--", "openstack"), None, ["openstack"]),
    ],
)
def test_a_deployment_is_distinguished_from_a_command(
    arguments: tuple[str, ...], given: str | None, command: list[str]
) -> None:
    """A first argument that ends in .toml is the deployment; the rest is the command, unchanged."""
    assert split(arguments) == (given, command)


def test_a_command_must_be_given() -> None:
    """A deployment without a command is refused."""
    with pytest.raises(InputError, match="no command given"):
        split(("d.toml", "--"))


@pytest.mark.lab
def test_a_create_is_followed_on_the_lab(lab: Deployment, tmp_path: Path) -> None:
    """Create and delete: each with backend, API process and engines, convergence work included."""
    resources = {"a": {"type": "OS::Heat::RandomString"}, "b": {"type": "OS::Heat::TestResource"}}
    template = {"heat_template_version": "2021-04-16", "resources": resources}
    body = json.dumps({"stack_name": f"trace-{tmp_path.name}-{id(lab)}", "template": template})
    words = [str(lab.path), "--", sys.executable, str(CREATE), lab.rest.url, body]
    result = CliRunner().invoke(trace, ["--runs", str(tmp_path), *words], standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 0), result.output
    assert "publishes create_stack to engine" in result.output
    assert result.output.count("receives check_resource") >= len(resources)
    assert any(f"sends it to {backend.name}" in result.output for backend in lab.rest.backends)
    assert any(f"{name} heat-engine[" in result.output for name in lab.engine_consumers)
    assert "requests followed to their engines; 1 went elsewhere" in result.output
    with BrokerApi.of(lab) as api:
        assert not api.tracing()


@pytest.mark.lab
def test_a_load_of_both_apis_is_followed_on_the_lab(lab: Deployment, tmp_path: Path) -> None:
    """All of its requests, those included that need no engine; then one of CFN by its id."""
    (tmp_path / "both.toml").write_text(LOAD)
    runs = ["--runs", str(tmp_path)]
    load = ["-m", "calorimeter", "run", str(tmp_path / "both.toml"), "--deployment", str(lab.path), *runs]
    words = [*runs, str(lab.path), "--", sys.executable, *load]
    result = CliRunner().invoke(trace, words, standalone_mode=False)
    assert (result.exception, result.return_value) == (None, 0), result.output
    assert "  followed to their engines: 100.0000%" in result.output
    (run,) = (RunDir(path.parent) for path in tmp_path.glob("*/run.json"))
    asked = samples(run)
    assert "create" in {request.operation for request in asked}
    id_ = next(request.request_id for request in asked if request.operation == "CreateStack")
    one = CliRunner().invoke(trace, [str(run.path), id_], standalone_mode=False)
    assert (one.exception, one.return_value) == (None, 0), one.output
    assert one.output.startswith(f"CreateStack  {id_}")
    assert "publishes create_stack to engine" in one.output


@pytest.mark.lab
def test_without_consent_nothing_is_traced(lab: Deployment, tmp_path: Path) -> None:
    """A deployment whose owner does not allow invasive gates is not traced."""
    text = lab.path.read_text()
    copy = tmp_path / "deployment.toml"
    copy.write_text(text.replace('level = "invasive"', 'level = "load"'))
    (tmp_path / "secrets.toml").write_text((lab.path.parent / "secrets.toml").read_text())
    (tmp_path / "secrets.toml").chmod(0o600)
    result = CliRunner().invoke(trace, [str(copy), "--", "true"], standalone_mode=False)
    assert isinstance(result.exception, InputError)
    assert "consent.level" in str(result.exception)
