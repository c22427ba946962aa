"""Names of foreign origin as labels of figures: one line, short enough to leave room for the figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import pandas as pd

from calorimeter.core.shown_text import one_line

T = TypeVar("T")
LONGEST = 40


def label(name: object) -> object:
    """A name as it is drawn: without its middle if it is long. What is no text stays as it is."""
    if not isinstance(name, str):
        return name
    text = one_line(name)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 20]}…{text[-19:]}"


def drawable(content: T) -> T:
    """A copy of a page's content in which every name of a table is its label."""
    return _drawable(content)  # type: ignore[no-any-return]


def _drawable(value: Any) -> Any:
    if isinstance(value, pd.DataFrame):
        texts = [name for name in value.columns if not pd.api.types.is_numeric_dtype(value[name])]
        return value.assign(**{name: value[name].map(label) for name in texts}).rename(columns=label)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(
            value,
            **{each.name: _drawable(getattr(value, each.name)) for each in fields(value) if each.init},
        )
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(map(_drawable, value))
    return {key: _drawable(each) for key, each in value.items()} if isinstance(value, Mapping) else value
