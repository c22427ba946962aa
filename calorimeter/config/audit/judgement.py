"""The gates A1 to A12: the findings of an audit, judged gate by gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import GUIDE, Severity
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.core.verdict import Judgement, Verdict, failed, inconclusive, passed


@dataclass(frozen=True, slots=True)
class AuditGate:
    """A gate: its id, what it proves, and which files it needs."""

    id: str
    heading: str
    needs_proxy: bool = False
    needs_heat: bool = False

    @property
    def guide(self) -> str:
        """The first sentence of the guide that a rule of the gate quotes; empty if no rule quotes it."""
        quotes = (rule.quote for rule in RULES if rule.gate == self.id)
        return next((quote.text for quote in quotes if quote.source == GUIDE), "")


GATES = (
    AuditGate("A1", "Every API process has an address of its own", needs_heat=True),
    AuditGate(
        "A2", "The proxy has the addresses that clients use, and its servers are the APIs", needs_proxy=True
    ),
    AuditGate("A3", "No machine uses its own loopback address for a service elsewhere", needs_heat=True),
    AuditGate("A4", "All engines and APIs use one broker, one database and one key", needs_heat=True),
    AuditGate("A5", "The proxy balances as its owner wants", needs_proxy=True),
    AuditGate("A6", "The proxy checks the health of every API", needs_proxy=True),
    AuditGate("A7", "Keep-alive is on, and retries can reach another server", needs_proxy=True),
    AuditGate("A8", "Limits and timeouts of proxy and Heat fit together", needs_proxy=True),
    AuditGate("A9", "The proxy's log and state can be read", needs_proxy=True),
    AuditGate("A10", "Heat reads every option that is set", needs_heat=True),
    AuditGate(
        "A11", "The number of engine processes is set, and the database can serve them", needs_heat=True
    ),
    AuditGate("A12", "The CFN API has the credentials and policies that it needs", needs_heat=True),
)

BY_ID = {gate.id: gate for gate in GATES}


def judged(gate_id: str) -> Callable[[AuditReport], Judgement]:
    """The check of one gate: FAIL with an error or a warning, INCONCLUSIVE without files, else PASS."""
    return lambda report: _judgement(BY_ID[gate_id], report)


def verdicts(report: AuditReport) -> tuple[Verdict, ...]:
    """The verdict of each gate."""
    return tuple(
        Verdict(
            gate=gate.id,
            heading=gate.heading,
            guide=gate.guide,
            judgement=_judgement(gate, report),
            waived=report.waived(gate.id),
            evidence=report.files,
        )
        for gate in GATES
    )


def _judgement(gate: AuditGate, report: AuditReport) -> Judgement:
    findings = report.of(gate.id)
    counts = Counter(finding.severity for finding in findings)
    figures = {f"{severity}s": counts[severity] for severity in Severity}
    serious = [f"{f.file}:{f.line}: {f.rule}: {f.says}" for f in findings if f.serious]
    if serious:
        count = "1 error or warning" if len(serious) == 1 else f"{len(serious)} errors or warnings"
        return failed(f"the audit finds {count} in the files", serious, **figures)
    missing = [
        name
        for name, needed, given in (
            ("HAProxy's configuration", gate.needs_proxy, report.proxy_files),
            ("heat.conf", gate.needs_heat, report.heat_files),
        )
        if needed and not given
    ]
    if missing:
        return inconclusive(f"the audit was not given {' and '.join(missing)}", **figures)
    return passed("the audit finds no error or warning in the files", **figures)
