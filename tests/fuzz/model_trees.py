"""Trees drawn from the fields of a pydantic model: values of the right kind, and some of another."""

from __future__ import annotations

import types
from copy import deepcopy
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import BaseModel

from tests.fuzz.mutations_of_text import VALUES

_TEXTS = (
    *(
        "a",
        "rest-1",
        "tcp",
        "source",
        "10.0.0.1:8004",
        "http://127.0.0.1:1/v1",
        "unix:///tmp/x",
        "udp://127.0.0.1:0",
    ),
    *(
        "amqp://127.0.0.1:1",
        "file:///tmp/x",
        "60s",
        "kill",
        "tiny.yaml",
        "list",
        "127.0.0.0/8",
        "rest-*",
        "true",
    ),
)
_ODD = st.sampled_from(VALUES)
_NUMBERS: tuple[Any, ...] = (
    0,
    1,
    2,
    3,
    0.5,
    60,
    1000,
    -1,
    10**9,
    2**63,
    10**30,
    float("nan"),
    float("inf"),
    1e-300,
    1e308,
)


@st.composite
def of_model(draw: st.DrawFn, model: type[BaseModel], depth: int = 4) -> dict[str, Any]:
    """A table with the keys of a model, most of those it requires and some of the others."""
    tree = {}
    for name, field in model.model_fields.items():
        least = 1 if field.is_required() else 7
        if draw(st.integers(0, 10)) >= least:
            tree[name] = draw(of_kind(field.annotation, depth))
    if draw(st.integers(0, 15)) == 9:
        tree[draw(st.sampled_from(("x", "", "²", "a b", "\ud800", "name")))] = deepcopy(draw(_ODD))
    return tree


@st.composite
def of_kind(draw: st.DrawFn, kind: Any, depth: int) -> Any:
    """A value for an annotation; now and then one of another kind."""
    if depth == 0 or draw(st.integers(0, 14)) == 11:
        return deepcopy(draw(_ODD))
    origin, inner = get_origin(kind), get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return draw(of_model(kind, depth - 1))
    if origin is Literal:
        return draw(st.sampled_from(inner))
    if origin in (Union, types.UnionType):
        return draw(
            of_kind(draw(st.sampled_from([each for each in inner if each is not type(None)])), depth)
        )
    if origin in (tuple, list, frozenset):
        return [draw(of_kind(inner[0], depth - 1)) for _ in range(draw(st.integers(0, 3)))]
    if origin is dict:
        keys = draw(st.lists(of_kind(inner[0], 1), max_size=3))
        return {str(key)[:80]: draw(of_kind(inner[1], depth - 1)) for key in keys}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return draw(st.sampled_from([each.value for each in kind]))
    if hasattr(kind, "__metadata__"):
        return draw(of_kind(inner[0], depth))
    if kind is bool:
        return draw(st.booleans())
    if kind in (int, float):
        return draw(st.sampled_from(_NUMBERS))
    return draw(
        st.sampled_from(("haproxy.cfg", "heat.conf", "x", "/dev/zero", ".", ""))
        if kind is Path
        else st.sampled_from(_TEXTS)
    )
