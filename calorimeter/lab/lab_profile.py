"""Profiles: what a deployment tool rolls out, as defaults of `lab up`.

Each is a file in `profiles/`. It sets options of `lab up`, HAProxy settings that have no option, and
options of heat.conf, each value with its source. What two cores cannot carry is scaled down there;
`rolled_out` then says what the tool sets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import Field, model_validator

from calorimeter.config.heat.heat_conf_writer import Sections
from calorimeter.core import toml
from calorimeter.core.errors import unknown
from calorimeter.core.toml import Model, Name

FOLDER = Path(__file__).with_name("profiles")

Part = Literal["api", "engine"]

T = TypeVar("T")

_BELONGS_TO = {
    "rest": "sample",
    "cfn": "sample",
    "engines_per_host": "sample",
    "brokers": "sample",
    "partition_handling": "brokers",
    "prefetch": "messaging",
    "hash_type": "balance",
    "maxconn": "proxy",
}
"""Option → the option that it belongs to: with another value of that, the profile's means nothing."""


class Sourced(Model, Generic[T]):
    """A value of a profile, and where it is set: a key of `[sources]`, a colon, and the variable or line.

    `rolled_out` is what the tool sets, if a lab has something else.
    """

    value: T
    source: Name
    rolled_out: Name | None = None


Lines = Sourced[tuple[str, ...]]
AnyValue = Sourced[bool | int | str | tuple[str, ...]]
Scalar = Sourced[bool | int | str]
Group = Mapping[str, Sourced[Any]]


class DefaultsSection(Model):
    """`defaults`: keywords that no option of `lab up` sets, and its `option` lines."""

    maxconn: Sourced[int] | None = None
    retries: Sourced[int]
    options: Lines


class SectionLines(Model):
    """The sections of both APIs: their `option` lines, and further lines."""

    options: Lines
    lines: Lines | None = None


class ServerCheck(Model):
    """The check of each server; what a profile does not say is HAProxy's default, named in `check`."""

    check: Sourced[bool] | None = None
    inter: Sourced[str] | None = None
    rise: Sourced[int] | None = None
    fall: Sourced[int] | None = None


class ProxySettings(Model):
    """HAProxy settings that have no option of `lab up`."""

    of_global: dict[str, Scalar] = Field(default={}, alias="global")
    defaults: DefaultsSection
    timeouts: dict[str, Sourced[str]]
    section: SectionLines
    check: ServerCheck


class HeatSettings(Model):
    """Options of heat.conf, by section: of every part, of the APIs, of the engines."""

    all: dict[str, dict[str, Scalar]] = {}
    api: dict[str, dict[str, Scalar]] = {}
    engine: dict[str, dict[str, Scalar]] = {}


class Profile(Model):
    """A profile: `options` of `lab up`, settings of the proxy and of Heat."""

    title: Name
    sources: dict[str, Name]
    options: dict[str, AnyValue]
    proxy: ProxySettings | None = None
    heat: HeatSettings = HeatSettings()

    @model_validator(mode="after")
    def _sources_are_known(self) -> Profile:
        for group, values in self.groups().items():
            for key, each in values.items():
                for place in each.source.split("; "):
                    if place.partition(":")[0] not in self.sources:
                        raise ValueError(f"{group}.{key}: source {place!r} is not one of [sources]")
        return self

    def groups(self) -> dict[str, Group]:
        """The groups of values, by their tables: `options`, `proxy.timeouts`, `heat.all.database`, …"""
        return {name: values for name, values in self._groups() if values}

    def _groups(self) -> Iterator[tuple[str, Group]]:
        yield "options", self.options
        if self.proxy is not None:
            yield "proxy.global", self.proxy.of_global
            yield "proxy.defaults", _set_fields(self.proxy.defaults)
            yield "proxy.timeouts", self.proxy.timeouts
            yield "proxy.section", _set_fields(self.proxy.section)
            yield "proxy.check", _set_fields(self.proxy.check)
        for kind in ("all", "api", "engine"):
            for section, values in getattr(self.heat, kind).items():
                yield f"heat.{kind}.{section}", values


def _set_fields(group: Model) -> Group:
    return {name: value for name, value in group if value is not None}


def names() -> list[str]:
    """The names of the profiles."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


@cache
def read(name: str) -> Profile:
    """The profile called `name`. Raises `InputError` if there is none."""
    if name not in names():
        raise unknown("lab", "profile", name, names())
    return toml.read(FOLDER / f"{name}.toml", Profile)


def topology_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a lab with this profile: those `given` win.

    A value of the profile that belongs to an option with another value is left out, such as
    `partition_handling` with `--brokers 1`, or `serve` with a release that has no eventlet.
    """
    profile = read(name)
    own = {key: each.value for key, each in profile.options.items()}
    if profile.proxy is not None:
        own["proxy"] = "profile"
    other = {key for key, value in given.items() if own.get(key) != value}
    if "heat" in other and own.get("serve") == "eventlet":
        del own["serve"]
    for key, owner in _BELONGS_TO.items():
        if owner in other and key in own:
            del own[key]
            other.add(key)
    return {**own, **given}


def proxy_of(name: str | None) -> ProxySettings | None:
    """What a profile sets of the proxy; None if nothing, or without a profile."""
    return read(name).proxy if name is not None else None


def heat_options(name: str | None, part: Part) -> Sections:
    """The options that a profile sets in the heat.conf of an API or engine."""
    if name is None:
        return {}
    heat = read(name).heat
    tree: dict[str, dict[str, str | int | bool]] = {}
    for group in (heat.all, heat.api if part == "api" else heat.engine):
        for section, values in group.items():
            tree.setdefault(section, {}).update({key: each.value for key, each in values.items()})
    return tree
