"""Results as JSON: the same bytes on every machine."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from calorimeter.core import shown_text

DIGITS = 12
"""More than a clock measures, and fewer than processors differ in: sums differ in the last of 17 digits."""


def of_model(model: BaseModel) -> bytes:
    """A model as JSON. Text that is no Unicode (the name of a file that is not UTF-8) is shown."""
    try:
        text = model.model_dump_json()
    except PydanticSerializationError:
        return of_model(type(model).model_validate(_shown(model.model_dump()), strict=False))
    return json.dumps(json.loads(text, parse_float=_rounded), indent=2, ensure_ascii=False).encode() + b"\n"


def _rounded(digits: str) -> float:
    return float(f"{float(digits):.{DIGITS}g}")


def _shown(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {_shown(key): _shown(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(map(_shown, tree))
    return shown_text.plain(tree) if isinstance(tree, str) else tree
