"""Verdicts as SARIF 2.1.0, with the findings of the audit as a run of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from calorimeter import __version__
from calorimeter.config.audit import output
from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.core.verdict import Outcome, Verdict

KINDS = {
    Outcome.PASS: "pass",
    Outcome.FAIL: "fail",
    Outcome.INCONCLUSIVE: "open",
    Outcome.NOT_RUN: "notApplicable",
}
"""SARIF's `open`: there was not enough information to decide. Only a `fail` may have a level."""

_BASE = "RUN"


def document(verdicts: Sequence[Verdict], name: str, report: AuditReport | None) -> str:
    """The log: a run for the verdicts, and one for the audit if there was one. `name` is the run's."""
    runs = [_of_gates(verdicts, name)]
    if report is not None:
        # A folder that was sent may claim changes; what the suite keeps of an audit holds none.
        faults = tuple(finding.model_copy(update={"changes": ()}) for finding in report.faults)
        runs.append(output.sarif_run(report.model_copy(update={"faults": faults})))
    return json.dumps({"$schema": output.SARIF_SCHEMA, "version": "2.1.0", "runs": runs}, indent=2) + "\n"


def _of_gates(verdicts: Sequence[Verdict], name: str) -> dict[str, Any]:
    rules = list({verdict.gate: verdict for verdict in verdicts}.values())
    places = {verdict.gate: place for place, verdict in enumerate(rules)}
    driver = {
        "name": "calorimeter verify",
        "version": __version__,
        "rules": [_rule(each) for each in rules],
    }
    return {
        "tool": {"driver": driver},
        "automationDetails": {"id": name},
        "originalUriBaseIds": {_BASE: {"description": {"text": "The folder of the run."}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(verdict, places[verdict.gate]) for verdict in verdicts],
    }


def _rule(verdict: Verdict) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": verdict.gate, "shortDescription": {"text": verdict.heading}}
    if verdict.guide:
        rule["fullDescription"] = {"text": f"{verdict.heading}. «{verdict.guide}»"}
    return rule


def _result(verdict: Verdict, place: int) -> dict[str, Any]:
    judged = verdict.judgement
    result: dict[str, Any] = {
        "ruleId": verdict.gate,
        "ruleIndex": place,
        "kind": KINDS[judged.outcome],
        "level": "error" if judged.outcome is Outcome.FAIL else "none",
        "message": {"text": "\n".join((f"{judged.outcome}: {judged.why}", *judged.counter_examples))},
        "locations": [_location(path) for path in verdict.evidence or ("verdicts.json",)],
        "properties": {"outcome": str(judged.outcome), "figures": judged.figures},
    }
    if verdict.waived is not None and judged.outcome is not Outcome.PASS:
        result["suppressions"] = [{"kind": "external", "justification": verdict.waived}]
    return result


def _location(path: str) -> dict[str, Any]:
    uri = quote(path, safe="/~", errors="replace")
    return {"physicalLocation": {"artifactLocation": {"uri": uri, "uriBaseId": _BASE}}}
