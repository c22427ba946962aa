"""Releases of Heat and RabbitMQ, as an owner names them."""

from __future__ import annotations

import re

from calorimeter.core.errors import InputError, nearest

_NAMES = """
    mitaka newton ocata pike queens rocky stein train ussuri victoria wallaby xena yoga zed
    antelope bobcat caracal dalmatian epoxy flamingo
"""
_FIRST = 6
_LAST = 40
"""No release of the next years has a higher number; a higher one is a mistake."""
_HEAT = {name: number for number, name in enumerate(_NAMES.split(), _FIRST)}
"""OpenStack release → the major version of its Heat."""
_FIRST_DATED = (2023, 1, _HEAT["antelope"])
"""From 2023.1 on, OpenStack has two releases a year, .1 and .2, and Heat one major version for each."""
_VERSION = re.compile(r"(?:[0-9]+:)?v?([0-9]{1,4})(?:\.([0-9]{1,4}))?(?![0-9]).*", re.ASCII | re.DOTALL)
"""A version, also as Debian writes it (`1:24.0.0-2`)."""


def heat(text: str) -> int | None:
    """The major version of Heat: of `24.1.2`, `2025.1` or `epoxy`; None if it is none of them."""
    name = text.strip().lower()
    if name in _HEAT:
        return _HEAT[name]
    match = _VERSION.fullmatch(name)
    if not match:
        return None
    major, minor = int(match[1]), int(match[2] or 0)
    year, half, first = _FIRST_DATED
    if major >= year:
        major = first + 2 * (major - year) + minor - half if minor in (1, 2) else 0
    return major if 0 < major <= _LAST else None


def rabbitmq(text: str) -> tuple[int, int] | None:
    """(major, minor) of RabbitMQ, of `4.3.1` or `4.3`; None if the text is no version."""
    match = _VERSION.fullmatch(text.strip())
    return (int(match[1]), int(match[2])) if match and match[2] else None


def given_heat(option: str, text: str) -> int:
    """The major version that an option gives. Raises InputError if it is none."""
    found = heat(text)
    if found is None:
        raise InputError(
            option,
            f"{text!r} given",
            "valid: a version of Heat (24, 24.1.2) or an OpenStack release (2025.1, victoria)",
            nearest(text.strip().lower(), _HEAT),
        )
    return found


def given_rabbitmq(option: str, text: str) -> tuple[int, int]:
    """The (major, minor) that an option gives. Raises InputError if it is none."""
    found = rabbitmq(text)
    if found is None:
        raise InputError(option, f"{text!r} given", "valid: a version of RabbitMQ, as in 4.3 or 4.3.1")
    return found
