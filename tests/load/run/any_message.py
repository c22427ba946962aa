"""Any message that a master or a worker can send, and more: strategies for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

PLAIN = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.binary(max_size=5))
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)
"""Plain data of any shape."""


def nearly(*shapes: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Tables with the keys of one of these shapes, and any values."""
    return st.sampled_from(shapes).flatmap(
        lambda shape: st.fixed_dictionaries({}, optional=dict.fromkeys(shape.model_fields, ANYTHING))
    )
