"""A template: its text, the files that it needs, and what operations can do with its stacks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from calorimeter.core import bounds, files
from calorimeter.core.errors import InputError
from calorimeter.core.shown_text import quoted

SIGNALLED = frozenset(
    {
        "OS::Heat::WaitConditionHandle",
        "AWS::CloudFormation::WaitConditionHandle",
        "OS::Heat::ScalingPolicy",
        "OS::Heat::SoftwareDeployment",
    }
)
"""Resource types that take signals."""

CONDITIONS = {"OS::Heat::WaitCondition": "handle", "AWS::CloudFormation::WaitCondition": "Handle"}
"""Resource types that wait for signals → the property that refers to the handle."""

ADDRESSES: dict[tuple[str, str | None], str] = {
    ("AWS::CloudFormation::WaitConditionHandle", None): "PUT",
    ("OS::Heat::WaitConditionHandle", "signal"): "PUT",
    ("OS::Heat::ScalingPolicy", "alarm_url"): "POST",
}
"""Signed addresses: resource type and attribute (None: the resource's reference) → HTTP method."""

PLAIN = frozenset({"OS::Heat::None", "OS::Heat::RandomString", "OS::Heat::TestResource", "OS::Heat::Value"})
"""Resource types for which Heat never acts later in the user's name. It does for nested stacks."""

_NOT_YAML = (yaml.YAMLError, ValueError, AttributeError)
"""The last two are raised for `!!int x` and `!!timestamp x`."""

LIMIT = 4 * 2**20
"""Bytes of a template; Heat's own limit is 512 kB unless its operator raises it."""

VALUE = "value"
"""The parameter that an update changes, if the template has it."""

HOLD = "hold_s"
"""The parameter for the duration of an update in seconds, so that there is time to cancel it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template with what decides which operations are possible.

    `files`: name → text of each file that it needs. `resources`: name → type. `waits`: handle → number of
    signals that a stack waits for before it is complete. `signal_outputs`: resource → (output, HTTP
    method), where the output is the signed address at which the CFN API takes signals for the resource.
    """

    name: str
    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    parameters: frozenset[str] = frozenset()
    resources: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    waits: Mapping[str, int] = field(default_factory=dict)
    signal_outputs: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def deferred(self) -> bool:
        """Whether Heat must be able to act later in the user's name."""
        return not PLAIN.issuperset(self.resources.values())

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the template, under the name "", and of each file that it needs, by its name."""
        texts = {"": self.text, **self.files}
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}

    @property
    def handles(self) -> tuple[str, ...]:
        """The resources that take signals."""
        return tuple(name for name, kind in self.resources.items() if kind in SIGNALLED)


def read(where: str, path: Path) -> Template:
    """Read a template and the files that it names. Raises InputError, with `where` as its place."""
    text = _text(where, path)
    tree = _tree(where, path, text)
    try:
        return _described(where, path, text, tree)
    except ValueError as problem:  # an integer of thousands of digits as a name
        raise InputError(where, f"{path} cannot be used ({problem!s:.200})") from problem


def _described(where: str, path: Path, text: str, tree: Mapping[str, Any]) -> Template:
    resources = _table(tree, "resources", "Resources")
    types = {str(name): _type(body) for name, body in resources.items()}
    return Template(
        name=path.name,
        text=text,
        files=_files(where, path, tree, {}),
        parameters=frozenset(map(str, _table(tree, "parameters", "Parameters"))),
        resources=types,
        outputs=tuple(map(str, _table(tree, "outputs", "Outputs"))),
        waits=_waits(f"{where}: {path.name}", tree, resources),
        signal_outputs=_signal_outputs(_table(tree, "outputs", "Outputs"), types),
    )


def _text(where: str, path: Path) -> str:
    try:
        return files.read_text(path, limit=LIMIT)
    except InputError as problem:
        raise InputError(where, str(problem)) from problem


def _tree(where: str, path: Path, text: str) -> Mapping[str, Any]:
    try:
        tree = yaml.load(text, Loader=yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader)  # noqa: S506
    except _NOT_YAML as problem:
        raise InputError(where, f"{path} is neither YAML nor JSON ({problem!s:.200})") from problem
    except RecursionError as problem:
        raise InputError(where, f"{path} is nested too deeply") from problem
    if not isinstance(tree, Mapping) or not _table(tree, "resources", "Resources"):
        raise InputError(where, f"{path} is not a template", "valid: a file with resources")
    return tree


def _table(tree: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = tree.get(name)
        if isinstance(found, Mapping):
            return found
    return {}


def _type(body: Any) -> str:
    return str(body.get("type") or body.get("Type") or "") if isinstance(body, Mapping) else ""


def _files(where: str, path: Path, tree: Mapping[str, Any], found: dict[str, str]) -> dict[str, str]:
    """The files that resources have as their type: name → text."""
    for name in _named_types(tree):
        if name in found:
            continue
        file = path.parent / name
        if not files.is_file(file):
            raise InputError(where, f"{path.name} needs {name!r}", f"put it into {path.parent}")
        found[name] = _text(where, file)
        _files(where, file, _tree(where, file, found[name]), found)
    return found


def _named_types(tree: Any) -> list[str]:
    """Resource types that are files, also inside groups. An anchor of YAML is visited once."""
    names: list[str] = []
    seen: set[int] = set()
    left = [tree]
    while left:
        node = left.pop()
        if id(node) in seen or not isinstance(node, Mapping | list):
            continue
        seen.add(id(node))
        kind = node.get("type") if isinstance(node, Mapping) else None
        if isinstance(kind, str) and kind.endswith((".yaml", ".yml", ".template")):
            names.append(kind)
        left += node.values() if isinstance(node, Mapping) else node
    return names


def _waits(where: str, tree: Mapping[str, Any], resources: Mapping[str, Any]) -> dict[str, int]:
    waits: dict[str, int] = {}
    for body in resources.values():
        handle_of = CONDITIONS.get(_type(body))
        if handle_of is None:
            continue
        properties = _table(body, "properties", "Properties")
        handle = properties.get(handle_of)
        if isinstance(handle, Mapping):
            handle = next((handle[key] for key in ("get_resource", "Ref") if key in handle), None)
        if isinstance(handle, str):
            waits[handle] = _count(where, tree, properties.get("count", properties.get("Count", 1)))
    return waits


def _count(where: str, tree: Mapping[str, Any], given: Any) -> int:
    """How many signals a condition waits for: a number, or the default of a parameter."""
    if isinstance(given, Mapping):
        named = str(given.get("get_param", given.get("Ref")))
        parameter = _table(tree, "parameters", "Parameters").get(named)
        given = (
            parameter.get("default", parameter.get("Default")) if isinstance(parameter, Mapping) else given
        )
    try:
        return int(bounds.SIGNALS.parse(str(given or 1)))
    except ValueError as problem:
        message = f"{quoted(given)} given as the count of a wait condition"
        raise InputError(where, message, str(problem)) from problem


def _signal_outputs(outputs: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for output, body in outputs.items():
        value = (body.get("value") or body.get("Value")) if isinstance(body, Mapping) else None
        name = attribute = None
        if isinstance(value, Mapping):
            name = value.get("Ref") or value.get("get_resource")
            pair = value.get("Fn::GetAtt") or value.get("get_attr")
            if isinstance(pair, list) and len(pair) == 2:
                name, attribute = pair
        method = ADDRESSES.get((types.get(str(name), ""), attribute))
        if method is not None:
            found[str(name)] = str(output), method
    return found
