"""The records of an audit: a rule, what it finds, and the change that corrects it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from calorimeter.core.secrecy.masking import SecretValues
from calorimeter.core.toml import Model

if TYPE_CHECKING:
    from calorimeter.config.audit.subject import AuditedFiles

GUIDE = "OpenStack Heat, Scaling a Deployment"
MANUAL = "HAProxy 2.6 Configuration Manual"


class Severity(StrEnum):
    """An error breaks what the guide promises; a warning breaks it sometimes; a note breaks nothing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence and its source."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class LinePlace:
    """A line of a file."""

    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Change:
    """Replace `count` lines, from line `line` on, by `lines`; a count of 0 inserts before that line."""

    file: str
    line: int
    count: int
    lines: tuple[str, ...]


class Finding(Model):
    """What a rule finds at one place; an evidence file holds only what is shown.

    `says` is what the file contains, preceded by `where`: the section, server or host that it concerns.
    `follows` is the effect of it. `diff` shows `changes` with passwords masked. `waived` is the owner's
    reason.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    says: str
    follows: str
    diff: str = ""
    waived: str | None = None
    where: str = Field(default="", exclude=True)
    changes: tuple[Change, ...] = Field(default=(), exclude=True, repr=False)
    writes_secret: bool = Field(default=False, exclude=True)

    @property
    def gate(self) -> str:
        """The gate of its rule: A1, A2, …"""
        return gate_of(self.rule)

    @property
    def serious(self) -> bool:
        """Whether its gate fails because of it: an error or a warning."""
        return self.severity != Severity.NOTE

    def merged(self, other: Finding) -> Finding:
        """This finding, extended by another one that states the same about another section or host."""
        owners = self.where.split(", ")
        where = self.where if other.where in owners else f"{self.where}, {other.where}"
        changes = tuple(dict.fromkeys((*self.changes, *other.changes)))
        says = where + self.says.removeprefix(self.where)
        return self.model_copy(update={"where": where, "says": says, "changes": changes})

    def masked(self, secrets: SecretValues, diff: str = "") -> Finding:
        """This finding with a diff, without secrets in any of its texts."""
        texts = {"says": self.says, "follows": self.follows, "where": self.where}
        hidden = {name: secrets.hide_in_sentence(text) for name, text in texts.items()}
        return self.model_copy(update={**hidden, "diff": secrets.hide_lines(diff)})

    def competes(self, other: Finding) -> bool:
        """Whether the two put different lines at one place, of which only one can be right."""
        return any(
            (one.file, one.line, one.count) == (two.file, two.line, two.count) and one.lines != two.lines
            for one in self.changes
            for two in other.changes
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: `search` is pure, from the files to findings. The id starts with the gate (`A6-no-check`)."""

    id: str
    severity: Severity
    title: str
    remedy: str
    quote: Quote
    search: Callable[[Rule, AuditedFiles], Iterable[Finding]]

    @property
    def gate(self) -> str:
        """The gate that the rule belongs to: A1, A2, …"""
        return gate_of(self.id)

    def finding(
        self,
        place: LinePlace,
        where: str,
        says: str,
        follows: str,
        changes: Iterable[Change] = (),
        *,
        severity: Severity | None = None,
    ) -> Finding:
        """A finding of this rule (see `Finding`); `severity` only if it is not the rule's."""
        return Finding(
            rule=self.id,
            severity=severity or self.severity,
            file=readable(place.file),
            line=place.line,
            says=readable(f"{where}: {says}" if where else says),
            follows=follows,
            where=readable(where),
            changes=tuple(changes),
        )

    def findings(self, subject: AuditedFiles) -> list[Finding]:
        """Everything that the rule finds; findings at one place that state the same are merged."""
        found: dict[tuple[object, ...], Finding] = {}
        for finding in self.search(self, subject):
            key: tuple[object, ...] = (finding.file, finding.line, finding.says.removeprefix(finding.where))
            if key in found and found[key].competes(finding):
                key = (*key, finding.where)
            found[key] = found[key].merged(finding) if key in found else finding
        return list(found.values())


def rule(
    rule_id: str, severity: Severity, *, remedy: str, quote: Quote
) -> Callable[[Callable[[Rule, AuditedFiles], Iterable[Finding]]], Rule]:
    """Decorate the search of a rule; the decorated name is the `Rule`, and the docstring its title."""

    def declare(search: Callable[[Rule, AuditedFiles], Iterable[Finding]]) -> Rule:
        title = (search.__doc__ or "").partition("\n")[0].removesuffix(".")
        return Rule(rule_id, severity, title, remedy, quote, search)

    return declare


def gate_of(rule_id: str) -> str:
    """The gate that a rule belongs to: `A6` of `A6-no-check`."""
    return rule_id.partition("-")[0]


def readable(text: str) -> str:
    """The text with bytes that are not UTF-8 (read as surrogates, so that nothing is lost) shown as `�`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def guide(text: str) -> Quote:
    """A sentence of the guide."""
    return Quote(text, GUIDE)


def manual(section: str, text: str) -> Quote:
    """A sentence of HAProxy's manual."""
    return Quote(text, f"{MANUAL}, {section}")
