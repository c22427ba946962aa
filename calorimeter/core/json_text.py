"""JSON text as a value that UTF-8 can hold and whose numbers are finite, whoever wrote it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""What may be half a character: only then the value is looked through."""


def parse(text: str | bytes, parse_int: Callable[[str], int] = int) -> Any:
    """The value of JSON text, with integers by `parse_int`.

    Raises ValueError for what is not JSON, a number that is not finite or half a character (a lone
    surrogate), and RecursionError for text that is nested too deeply for Python.
    """
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite, parse_int=parse_int)
    if _SURROGATE.search(text if isinstance(text, str) else text.decode("utf-8", "replace")):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse(name: str) -> float:
    raise ValueError(f"{name:.20} is no number of JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits:.20} is too large for a number")
    return value
