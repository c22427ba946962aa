"""Cases of scenarios, their templates and fault schedules, and of topologies: mutated, and drawn."""

from __future__ import annotations

import tomllib
from functools import cache

from hypothesis import strategies as st

from calorimeter.config.generate.topology import Topology
from calorimeter.core.faults.schedule import Schedule
from calorimeter.workload.scenario import Scenario
from tests.fuzz.case import Case
from tests.fuzz.deployment_files import FILES, VALID
from tests.fuzz.model_trees import of_model
from tests.fuzz.mutations_of_text import texts, toml, trees
from tests.places import CLONE

_SCHEDULE = b'[[fault]]\npart = "rest-1"\nfault = "kill"\nat_s = 1\nfor_s = 2.5\n'
_DEPLOYED = {**FILES, "deployment.toml": VALID}
_TOPOLOGY = b"""\
proxy = "10.0.0.1"
broker = "10.0.0.1:5672"
database = "10.0.0.1:3306"
keystone = "http://10.0.0.1:5000"
[[hosts]]
name = "B"
address = "10.0.0.2"
[[hosts]]
name = "C"
address = "10.0.0.3"
engines = 2
workers = 2
"""


@cache
def _scenarios() -> list[bytes]:
    return [path.read_bytes() for path in sorted((CLONE / "scenarios").glob("*.toml"))]


@cache
def _templates() -> list[bytes]:
    return [path.read_bytes() for path in sorted((CLONE / "scenarios" / "templates").iterdir())]


def _of(samples: list[bytes], model: type) -> st.SearchStrategy[bytes]:
    parsed = [tomllib.loads(sample.decode()) for sample in samples]
    return st.one_of(texts(samples), trees(parsed).map(toml), of_model(model).map(toml))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A scenario, a template of its own, a schedule of faults or a topology."""
    kind = draw(st.integers(0, 7))
    if kind == 5:
        return Case("scenario", _FAULT, {**_DEPLOYED, "s.toml": draw(_of([_SCHEDULE], Schedule))})
    if kind == 6:
        return Case(
            "scenario", ("generate", "t.toml", "-o", "out"), {"t.toml": draw(_of([_TOPOLOGY], Topology))}
        )
    if kind == 7:
        own = {"s.toml": WITH_TEMPLATE, "own.yaml": draw(texts(_templates(), _YAML))}
        return Case("scenario", draw(st.sampled_from(_COMMANDS)), {**_DEPLOYED, **own})
    scenario = draw(_of(_scenarios(), Scenario))
    return Case("scenario", draw(st.sampled_from(_COMMANDS)), {**_DEPLOYED, "s.toml": scenario})


_FAULT = ("fault", "deployment.toml", "--schedule", "s.toml", "--yes-break-it")
WITH_TEMPLATE = b"""\
name = "own"
about = "x"
users = 1
duration_s = 1
rest = { mix = { create = 1 }, template = "own.yaml" }
"""
_YAML = (
    b"!!python/object/apply:os.system [x]", b"&a [*a]", b"*a", b"? ", b"<<: *a",
    b"!include /etc/passwd", b"get_file: /etc/passwd", b"type: ../x.yaml", b"type: own.yaml",
    b"? [a]: b", b"2026-13-45", b"- " * 500, b"&a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]",
)  # fmt: skip
_COMMANDS: tuple[tuple[str, ...], ...] = (
    ("run", "./s.toml"),
    ("run", "./s.toml", "--users", "3", "--rate", "2"),
    ("run", "./s.toml", "--repeat", "2", "--against", "first-mix"),
    ("capacity", "./s.toml"),
    ("scale", "./s.toml", "--engines", "1,2,4"),
)
