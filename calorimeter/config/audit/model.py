"""The words of an audit: what a rule is, what it finds, and the change that puts it right."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from calorimeter.config.audit.subject import Subject


class Severity(StrEnum):
    """An error breaks what the guide promises; a warning breaks it sometimes; a note is to be known."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence and where it is from."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Change:
    """Replace `count` lines from line `line` on by `lines`; a count of 0 inserts before it."""

    file: str
    line: int
    count: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule finds at one place.

    `where` names the section, server or host; `says` what is there; `follows` what comes of it.
    Problems of one rule at one place with the same `says` become one finding.
    """

    place: Place
    where: str
    says: str
    follows: str
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: pure, from the files to problems. Its id starts with its gate (`A6-no-check`)."""

    id: str
    severity: Severity
    title: str
    remedy: str
    quote: Quote
    check: Callable[[Subject], Iterable[Problem]]

    @property
    def gate(self) -> str:
        """The gate it belongs to: A1, A2, …"""
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule's finding, as it is reported; no secret is in it.

    `diff` is a unified diff of the change, with passwords masked; `waived` the owner's reason.
    """

    id: str
    severity: Severity
    file: str
    line: int
    says: str
    follows: str
    remedy: str
    diff: str
    quote: Quote
    changes: tuple[Change, ...] = ()
    waived: str | None = None

    @property
    def gate(self) -> str:
        """The gate it belongs to: A1, A2, …"""
        return self.id.partition("-")[0]


GUIDE = "OpenStack Heat, Scaling a Deployment"
MANUAL = "HAProxy 2.6 Configuration Manual"


def guide(text: str) -> Quote:
    """A sentence of the guide."""
    return Quote(text, GUIDE)


def manual(section: str, text: str) -> Quote:
    """A sentence of HAProxy's manual."""
    return Quote(text, f"{MANUAL}, {section}")
