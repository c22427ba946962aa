"""A report as JSON, and as SARIF 2.1.0 for tools that show findings in files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from calorimeter import __version__
from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Change, Finding, Rule, Severity
from calorimeter.config.audit.report_text import RULE_BY_ID
from calorimeter.config.audit.rules.all_rules import RULES

SCHEMA_VERSION = 1
_INDEX = {rule.id: index for index, rule in enumerate(RULES)}
SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_json(report: AuditReport) -> str:
    """The report as JSON: `schema_version`, `files`, `counts`, `findings`."""
    counts = Counter(finding.severity for finding in report.open)
    tree = {
        "schema_version": SCHEMA_VERSION,
        "files": list(report.files),
        "counts": {str(severity): counts[severity] for severity in Severity},
        "findings": [_finding(finding) for finding in report.faults],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"


def _finding(finding: Finding) -> dict[str, Any]:
    rule = RULE_BY_ID[finding.rule]
    return {
        "id": finding.rule,
        "gate": finding.gate,
        "severity": str(finding.severity),
        "file": finding.file,
        "line": finding.line,
        "says": finding.says,
        "follows": finding.follows,
        "remedy": rule.remedy,
        "diff": finding.diff,
        "quote": {"text": rule.quote.text, "source": rule.quote.source},
        "waived": finding.waived,
    }


def sarif(report: AuditReport) -> str:
    """The report as SARIF 2.1.0; a fix that would write a password is left out."""
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [sarif_run(report)]}
    return json.dumps(log, indent=2) + "\n"


def sarif_run(report: AuditReport) -> dict[str, Any]:
    """The run of the report's SARIF log, as a tree of JSON."""
    driver = {"name": "calorimeter audit", "version": __version__, "rules": [_rule(rule) for rule in RULES]}
    results = [_result(finding) for finding in report.faults]
    return {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}. «{rule.quote.text}» ({rule.quote.source})"},
        "help": {"text": rule.remedy},
        "defaultConfiguration": {"level": str(rule.severity)},
    }


def _result(finding: Finding) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": _uri(finding.file)}, "region": {"startLine": max(1, finding.line)}}
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "level": str(finding.severity),
        "message": {"text": f"{finding.says}. Effect: {finding.follows}."},
        "locations": [{"physicalLocation": place}],
    }
    if finding.rule in _INDEX:
        result["ruleIndex"] = _INDEX[finding.rule]
    if finding.waived is not None:
        result["suppressions"] = [{"kind": "external", "justification": finding.waived}]
    if finding.changes and not finding.writes_secret:
        changes = [_changes(file, finding) for file in dict.fromkeys(c.file for c in finding.changes)]
        remedy = RULE_BY_ID[finding.rule].remedy
        result["fixes"] = [{"description": {"text": remedy}, "artifactChanges": changes}]
    return result


def _changes(file: str, finding: Finding) -> dict[str, Any]:
    replacements = [_replacement(change) for change in finding.changes if change.file == file]
    return {"artifactLocation": {"uri": _uri(file)}, "replacements": replacements}


def _replacement(change: Change) -> dict[str, Any]:
    start = {"startLine": change.line, "startColumn": 1}
    region = {**start, "endLine": change.line + change.count, "endColumn": 1}
    replacement: dict[str, Any] = {"deletedRegion": region}
    if change.lines:
        replacement["insertedContent"] = {"text": "".join(f"{line}\n" for line in change.lines)}
    return replacement


def _uri(file: str) -> str:
    path = PurePath(file)
    name = quote(path.as_posix(), safe="/~", errors="replace")
    return f"file://{name}" if path.is_absolute() else name
