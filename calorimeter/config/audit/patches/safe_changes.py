"""Changes that were tried: applied to the texts, read and audited again, and compared with the originals.

A change is safe if its finding is gone, no other finding has come, and the patch keeps what a patch must
keep (`kept`). A change that leads to a finding with a change of its own (new checks are too slow) takes
that one along.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from calorimeter.config.audit.model import Change, Finding, Severity
from calorimeter.config.audit.patches import kept
from calorimeter.config.audit.patches.changes import insert_into
from calorimeter.config.audit.patches.edited_text import Edit, applied, changes_of, edit_of
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.config.audit.subject import AuditedFiles, Inputs, ParsedFiles, build

_ROUNDS = 4
"""How often a change may take others along."""
_WORK = 2500
"""Trials × files of one pass: less than a second of processor time."""
_T = TypeVar("_T")
_GRAVITY = {severity: rank for rank, severity in enumerate(reversed(Severity))}


@dataclass(frozen=True)
class Audited:
    """Files and every finding in them."""

    subject: AuditedFiles
    findings: tuple[Finding, ...]
    parsed: ParsedFiles

    @property
    def inputs(self) -> Inputs:
        """The texts that were audited."""
        return self.subject.inputs

    @cached_property
    def texts(self) -> dict[str, str]:
        """File name → text."""
        return self.inputs.texts

    def edits(self, after: Audited) -> dict[str, Edit]:
        """What differs in the files that differ."""
        news = after.texts
        return {name: edit_of(text, news[name]) for name, text in self.texts.items() if text != news[name]}


def audited(inputs: Inputs, parsed: ParsedFiles | None = None) -> Audited:
    """Parse the files, except those that were parsed already, and apply every rule."""
    parsed = parsed or ParsedFiles()
    subject = build(inputs, parsed)
    findings = tuple(finding for rule in RULES for finding in rule.findings(subject))
    return Audited(subject, findings, parsed)


def safe(before: Audited, skipped: frozenset[str] = frozenset()) -> dict[int, tuple[Change, ...]]:
    """Index of a finding → its safe changes; a finding that is absent has none.

    Findings of the rules and gates `skipped` (the owner accepts them) are not tried. Changes are tried one
    by one, or all together if there are too many; a group that is not safe is halved. What the work that is
    allowed does not reach is not safe.
    """
    wanted = [i for i, f in enumerate(before.findings) if f.changes and not {f.rule, f.gate} & skipped]
    left = _work(before)
    groups = [[index] for index in wanted] if len(wanted) <= left else [wanted] if wanted else []
    found: dict[int, tuple[Change, ...]] = {}
    while groups and left > 0:
        group, left = groups.pop(0), left - 1
        findings = [before.findings[index] for index in group]
        if len(group) == 1:
            found[group[0]] = _alone(before, findings[0])
        elif tried(before, findings, follow=False):
            found.update((index, before.findings[index].changes) for index in group)
        else:
            groups = [*_halves(group), *groups]
    return found


def _work(before: Audited) -> int:
    return max(8, _WORK // (1 + len(before.texts)))


def _halves(group: list[_T]) -> tuple[list[_T], list[_T]]:
    return group[: len(group) // 2], group[len(group) // 2 :]


def _alone(before: Audited, finding: Finding) -> tuple[Change, ...]:
    after = _first(before, finding)
    if after is None:
        return ()
    texts = after.texts
    return tuple(c for name, text in before.texts.items() for c in changes_of(name, text, texts[name]))


def _first(before: Audited, finding: Finding) -> Audited | None:
    """The files with the finding corrected: where the rule says, or else in the sections it speaks of."""
    return tried(before, [finding]) or tried(before, [finding], own=True)


def corrected(inputs: Inputs, skipped: frozenset[str] = frozenset()) -> Inputs:
    """The inputs with all safe changes; correcting them again changes nothing.

    As many findings as possible are corrected at once. If that is not safe they are halved, down to a
    single finding, which is then left as it is. Each step has fewer findings than the one before.
    """
    before, now = None, audited(inputs)
    while before is not now:
        before, now = now, _corrected(now, skipped)
    return now.inputs


def _corrected(now: Audited, skipped: frozenset[str]) -> Audited:
    """One pass over all findings."""
    left = _work(now)
    groups = [[_key(f) for f in now.findings if f.changes and not {f.rule, f.gate} & skipped]]
    while groups and left > 0:
        keys, left = groups.pop(0), left - 1
        group = [finding for finding in now.findings if _key(finding) in keys and finding.changes]
        after = tried(now, group) if len(group) > 1 else _first(now, group[0]) if group else None
        if after is not None:
            now = after
        elif len(group) > 1:
            groups = [*_halves(keys), *groups]
    return now


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.rule, finding.file, finding.says


def tried(
    before: Audited, group: Sequence[Finding], *, follow: bool = True, own: bool = False
) -> Audited | None:
    """The files with the changes of the findings applied; None if that is not safe.

    `follow`: changes of findings that come with these changes are applied, too. `own`: changes of
    `defaults` are made in the sections that the findings speak of.
    """
    after, changed, come = before, list(group), list(group)
    for _ in range(_ROUNDS if follow else 1):
        proposed = (_in_own_sections(after.subject, f) if own else f.changes for f in come)
        texts = applied(after.texts, (change for changes in proposed for change in changes))
        if texts == after.texts:
            return None
        after = audited(before.inputs.with_texts(texts), before.parsed)
        edits = before.edits(after)
        come = _come(before, after, edits)
        if not come:
            break
        if not all(finding.changes for finding in come):
            return None
        changed += come
    named = frozenset(name for finding in changed for name in finding.where.split(", "))
    patched = kept.Patched(before.subject, after.subject, edits, named)
    return None if come or _stay(before, after, changed) or kept.broken(patched) else after


def _come(before: Audited, after: Audited, edits: dict[str, Edit]) -> list[Finding]:
    """The findings after a change whose rule found neither the same before, nor anything at that place."""
    known: dict[tuple[object, ...], int] = {}
    for finding in before.findings:
        for key in (_key(finding), (finding.rule, finding.file, finding.line)):
            known[key] = max(known.get(key, 0), _GRAVITY[finding.severity])
    come = []
    for finding in after.findings:
        edit = edits.get(finding.file)
        line = edit.moved.get(finding.line) if edit else finding.line
        same = max(known.get(_key(finding), -1), known.get((finding.rule, finding.file, line), -1))
        if same < _GRAVITY[finding.severity]:
            come.append(finding)
    return come


def _stay(before: Audited, after: Audited, changed: Iterable[Finding]) -> bool:
    """Whether a finding is still there, or its rule finds as much elsewhere instead."""
    olds = {_key(finding) for finding in before.findings}
    gone = [finding for finding in changed if _key(finding) in olds]
    wanted = Counter(finding.rule for finding in before.findings)
    wanted.subtract(finding.rule for finding in gone)
    found = Counter(finding.rule for finding in after.findings)
    left = {_key(finding) for finding in after.findings}
    more = any(found[rule] > wanted[rule] for rule in found)
    return more or any(_key(finding) in left for finding in gone)


def _in_own_sections(subject: AuditedFiles, finding: Finding) -> tuple[Change, ...]:
    """The changes of a finding, those in `defaults` made in the sections that it speaks of instead."""
    names = finding.where.split(", ")
    named = [s.section for p in subject.proxies for s in p.configuration.proxies if s.name in names]
    inherited = {
        (line.file, line.number)
        for proxy in subject.proxies
        for section in proxy.configuration.tree.sections
        if section.kind == "defaults"
        for line in (section.header, *section.lines)
    }
    changes: list[Change] = []
    for change in finding.changes:
        # An insertion belongs to the line before it.
        if (change.file, change.line - (not change.count)) not in inherited:
            changes.append(change)
        elif change.lines:  # what is inherited cannot be removed in a section
            for section in named:
                other = kept.without_effect(section.kind)
                own = [line.strip() for line in change.lines if other.isdisjoint(_keys(line))]
                changes += [insert_into(section, *own)] if own else []
    return tuple(changes)


def _keys(statement: str) -> tuple[str, str]:
    """What a statement may be known by: its keyword, or its first two words (`option tcplog`)."""
    words = statement.split()
    return " ".join(words[:1]), " ".join(words[:2])
