"""An audit: every rule over the files, the findings in order, and the files put right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from calorimeter.config.audit.changes import applied, diff
from calorimeter.config.audit.model import Change, Finding, Problem, Rule, Severity
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.config.audit.subject import Inputs, Subject, build
from calorimeter.core.masking import mask_all
from calorimeter.core.verdict import gate_order

_ROUNDS = 8
_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of an audit, worst first within a gate; `files` were read."""

    findings: tuple[Finding, ...]
    files: tuple[str, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that are not waived."""
        return tuple(finding for finding in self.findings if finding.waived is None)

    @property
    def status(self) -> int:
        """The exit status: 1 where an error or a warning is open, else 0."""
        return int(any(finding.severity is not Severity.NOTE for finding in self.open))


def audit(inputs: Inputs, waive: Mapping[str, str] | None = None, rules: Iterable[Rule] = RULES) -> Report:
    """Read the texts and apply every rule; never raises, touches nothing.

    `waive` gives the owner's reason by rule (`A6-no-check`) or by gate (`A6`).
    """
    subject = build(inputs)
    waived = waive or {}
    findings: list[Finding] = []
    texts = inputs.texts
    for rule in rules:
        reason = waived.get(rule.id, waived.get(rule.gate))
        problems = _joined(rule.check(subject))
        findings.extend(_finding(rule, problem, texts, reason) for problem in problems)
    findings.sort(key=lambda f: (gate_order(f.gate), _ORDER[f.severity], f.id, f.file, f.line))
    return Report(tuple(findings), tuple(texts))


def corrected(inputs: Inputs, rules: Iterable[Rule] = RULES) -> Inputs:
    """The inputs with every change made that the findings propose.

    A change can bring another rule into play (a check that is made can be too slow), so the result is
    audited and changed again until nothing more changes.
    """
    every = tuple(rules)
    for _ in range(_ROUNDS):
        subject: Subject = build(inputs)
        changes: list[Change] = []
        for rule in every:
            for problem in _joined(rule.check(subject)):
                changes.extend(problem.changes)
        texts = applied(inputs.texts, changes)
        if texts == inputs.texts:
            break
        inputs = inputs.with_texts(texts)
    return inputs


def patch(before: Inputs, after: Inputs) -> str:
    """All changes as one patch that `patch -p1` takes; passwords are in it as they are in the files."""
    new = after.texts
    return "".join(diff(name, text, new[name]) for name, text in before.texts.items())


def _joined(problems: Iterable[Problem]) -> list[Problem]:
    """Problems at one place that say the same, as one."""
    found: dict[tuple[object, str], Problem] = {}
    for problem in problems:
        key = (problem.place, problem.says)
        known = found.get(key)
        if known is None:
            found[key] = problem
            continue
        where = (
            known.where if problem.where in known.where.split(", ") else f"{known.where}, {problem.where}"
        )
        changes = tuple(dict.fromkeys((*known.changes, *problem.changes)))
        found[key] = replace(known, where=where, changes=changes)
    return list(found.values())


def _finding(rule: Rule, problem: Problem, texts: Mapping[str, str], reason: str | None) -> Finding:
    return Finding(
        id=rule.id,
        severity=rule.severity,
        file=problem.place.file,
        line=problem.place.line,
        says=f"{problem.where}: {problem.says}",
        follows=problem.follows,
        remedy=rule.remedy,
        diff=_shown(problem.changes, texts),
        quote=rule.quote,
        changes=problem.changes,
        waived=reason,
    )


def _shown(changes: tuple[Change, ...], texts: Mapping[str, str]) -> str:
    files = dict.fromkeys(change.file for change in changes if change.file in texts)
    if not files:
        return ""
    after = applied({name: texts[name] for name in files}, changes)
    return mask_all("".join(diff(name, texts[name], after[name], context=1) for name in files))
