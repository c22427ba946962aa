"""The gates A1, A2, …: an audit's findings as verdicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from calorimeter.verdict import Judgement, Verdict, failed, inconclusive, passed
from config.audit.model import GUIDE, Finding, Severity
from config.audit.report import Report
from config.audit.rules import RULES
from config.audit.subject import Inputs


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate: what it proves, and whether it needs proxy files, Heat files, or both."""

    id: str
    heading: str
    needs_proxy: bool = False
    needs_heat: bool = False


GATES = (
    Gate("A1", "Every API process has an address of its own", needs_heat=True),
    Gate("A2", "The proxy is where clients look, and its servers are the APIs", needs_proxy=True),
    Gate("A3", "No machine looks for another machine's service on itself", needs_heat=True),
    Gate("A4", "All engines and APIs use one broker, one database and one key", needs_heat=True),
    Gate("A5", "The proxy keeps each source on one API", needs_proxy=True),
    Gate("A6", "The proxy checks the health of every API", needs_proxy=True),
    Gate("A7", "Keep-alive is on, and retries can reach another server", needs_proxy=True),
    Gate("A8", "Limits and times of proxy and Heat fit one another", needs_proxy=True),
    Gate("A9", "What the proxy does can be seen", needs_proxy=True),
    Gate("A10", "Every option is one that Heat reads", needs_heat=True),
    Gate("A11", "Engines, database and broker fit one another in number", needs_heat=True),
    Gate("A12", "The CFN API has the credentials that it needs", needs_heat=True),
)


def verdicts(report: Report, inputs: Inputs) -> tuple[Verdict, ...]:
    """A verdict for each gate: PASS without errors and warnings, INCONCLUSIVE without the files."""
    return tuple(_verdict(gate, report, inputs) for gate in GATES)


def _verdict(gate: Gate, report: Report, inputs: Inputs) -> Verdict:
    findings = [finding for finding in report.findings if finding.gate == gate.id]
    reasons = [finding.waived for finding in findings if finding.waived is not None]
    serious = [finding for finding in findings if finding.severity is not Severity.NOTE]
    all_waived = bool(serious) and all(finding.waived is not None for finding in serious)
    quotes = [rule.quote for rule in RULES if rule.gate == gate.id and rule.quote.source == GUIDE]
    return Verdict(
        gate=gate.id,
        heading=gate.heading,
        guide=quotes[0].text if quotes else "",
        judgement=_judgement(gate, findings, serious, inputs),
        waived=reasons[0] if all_waived else None,
        evidence=report.files,
    )


def _judgement(gate: Gate, findings: list[Finding], serious: list[Finding], inputs: Inputs) -> Judgement:
    counts = Counter(finding.severity for finding in findings)
    figures = {f"{severity}s": counts[severity] for severity in Severity}
    if serious:
        shown = [f"{f.file}:{f.line}: {f.id}: {f.says}" for f in serious]
        return failed(f"the audit finds {len(serious)} fault(s) in the files", shown, **figures)
    missing = [
        name
        for name, needed, given in (
            ("HAProxy's configuration", gate.needs_proxy, inputs.proxies),
            ("heat.conf", gate.needs_heat, inputs.heat),
        )
        if needed and not given
    ]
    if missing:
        return inconclusive(f"the audit was not given {' and '.join(missing)}", **figures)
    return passed("the audit finds no fault in the files", **figures)
