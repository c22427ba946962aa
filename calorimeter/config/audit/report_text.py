"""A report as text for people: findings that state the same are one block, errors come first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from calorimeter.config.audit import haproxy_messages
from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Finding, Severity
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.core import wrapping

RULE_BY_ID = {
    rule.id: rule
    for rule in (*RULES, haproxy_messages.REFUSES, haproxy_messages.WARNS, haproxy_messages.LACKS)
}
_HEADERS = ("--- a/", "+++ b/")
_RANK = {severity: rank for rank, severity in enumerate(Severity)}


def text(report: AuditReport) -> str:
    """The report: a line for each finding, the text of each block once, and a last line with the counts."""
    blocks = _blocks(report)
    lines = [line for block in blocks for line in _block(block)]
    return "\n".join((*lines, _counts(report, len(blocks)))) + "\n"


def _blocks(report: AuditReport) -> list[list[Finding]]:
    """Findings of one rule that state the same at several places; waived ones come last."""
    blocks: dict[tuple[str | None, ...], list[Finding]] = {}
    for finding in sorted(report.faults, key=lambda f: (f.waived is not None, _RANK[f.severity])):
        says = finding.says.removeprefix(finding.where)
        key = (finding.rule, finding.severity, says, finding.follows, finding.waived)
        blocks.setdefault(key, []).append(finding)
    return list(blocks.values())


def _block(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        waived = f" (waived: {finding.waived})" if finding.waived is not None else ""
        yield f"{finding.file}:{finding.line}: {finding.severity} {finding.rule}{waived}"
    first, rule = findings[0], RULE_BY_ID[findings[0].rule]
    owners = dict.fromkeys(owner for finding in findings for owner in finding.where.split(", "))
    yield from _wrapped(", ".join(owners) + first.says.removeprefix(first.where))
    yield from _wrapped(f"Effect: {first.follows}.")
    yield from _wrapped(f"Remedy: {rule.remedy}.")
    yield from _wrapped(f"«{rule.quote.text}» ({rule.quote.source})")
    yield from _diffs(findings)
    yield ""


def _wrapped(text: str) -> list[str]:
    return wrapping.sentence(text, "  ")


def _diffs(findings: list[Finding]) -> Iterator[str]:
    """Each diff; one of those that change the same lines of different files."""
    changing = [finding for finding in findings if finding.diff]
    same: dict[tuple[str, ...], list[Finding]] = {}
    for finding in changing:
        same.setdefault(_change(finding, changing), []).append(finding)
    for members in same.values():
        if len(members) > 1:
            yield from _wrapped(_label(members, len(findings)))
        for line in members[0].diff.splitlines():
            yield f"    {line}"


def _change(finding: Finding, changing: Iterable[Finding]) -> tuple[str, ...]:
    """The lines that a diff removes and adds; all of it if another finding changes the same file."""
    files = _files(finding)
    if any(other is not finding and files & _files(other) for other in changing):
        return (finding.diff,)
    marked = (line for line in finding.diff.splitlines() if line[:1] in ("-", "+"))
    return tuple(line for line in marked if not line.startswith(_HEADERS))


def _files(finding: Finding) -> set[str]:
    lines = finding.diff.splitlines()
    return {line.removeprefix(_HEADERS[0]) for line in lines if line.startswith(_HEADERS[0])}


def _label(members: list[Finding], block: int) -> str:
    """What is said above the one diff of several findings of a block."""
    files = set[str]().union(*map(_files, members))
    if members[0].diff == members[1].diff:
        return f"One change for {len(members)} of the places above:"
    if len(members) < block:
        return f"The same change in {', '.join(sorted(files))}; the first:"
    if len(files) == len(members):
        return f"The same change in {len(files)} files; the first:"
    return f"The same change for {len(members)} places; the first:"


def _counts(report: AuditReport, blocks: int) -> str:
    counts = Counter(finding.severity for finding in report.open)
    parts = [_counted(counts[severity], severity) for severity in Severity if counts[severity]]
    waived_count = len(report.faults) - len(report.open)
    if waived_count:
        parts.append(f"{waived_count} waived")
    different = f" ({blocks} different findings)" if blocks < len(report.faults) else ""
    return f"{', '.join(parts) or 'Nothing found'}{different} in {_counted(len(report.files), 'file')}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
