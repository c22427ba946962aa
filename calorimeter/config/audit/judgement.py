"""The gates A1, A2, …: an audit's findings as evidence, judged gate by gate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from calorimeter.config.audit.audit_report import Report
from calorimeter.config.audit.model import GUIDE, Severity
from calorimeter.config.audit.rules.all_rules import RULES
from calorimeter.config.audit.subject import Inputs
from calorimeter.core.toml import Model
from calorimeter.core.verdict import Judgement, Verdict, failed, inconclusive, passed


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate: what it proves, and whether it needs proxy files, Heat files, or both."""

    id: str
    heading: str
    needs_proxy: bool = False
    needs_heat: bool = False

    @property
    def guide(self) -> str:
        """The first sentence of the guide that a rule of the gate rests on; empty where none does."""
        quotes = [rule.quote for rule in RULES if rule.gate == self.id and rule.quote.source == GUIDE]
        return quotes[0].text if quotes else ""


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

BY_ID = {gate.id: gate for gate in GATES}


class Fault(Model):
    """One finding: its rule, severity (`error`, `warning`, `note`), place and sentence.

    `follows` is what comes of it, `diff` the change with passwords masked, `waived` the owner's reason.
    """

    rule: str
    severity: str
    file: str
    line: int
    says: str
    follows: str
    diff: str
    waived: str | None = None

    @property
    def gate(self) -> str:
        """The gate it belongs to: A1, A2, …"""
        return self.rule.partition("-")[0]

    @property
    def serious(self) -> bool:
        """Whether it stands against the gate: an error or a warning."""
        return self.severity != Severity.NOTE


class Audited(Model):
    """An audit: the files that were read, whose they are, and every finding. No secret is in it."""

    files: tuple[str, ...]
    proxy_files: bool
    heat_files: bool
    faults: tuple[Fault, ...]

    def of(self, gate: str) -> tuple[Fault, ...]:
        """The findings that belong to a gate."""
        return tuple(fault for fault in self.faults if fault.gate == gate)

    def waived(self, gate: str) -> str | None:
        """The owner's reason, where all that stands against the gate is waived by rule or by gate."""
        serious = [fault for fault in self.of(gate) if fault.serious]
        reasons = [fault.waived for fault in serious if fault.waived is not None]
        return "; ".join(dict.fromkeys(reasons)) if serious and len(reasons) == len(serious) else None


def audited(report: Report, inputs: Inputs) -> Audited:
    """A report as evidence."""
    faults = tuple(
        Fault(
            rule=finding.id,
            severity=finding.severity.value,
            file=finding.file,
            line=finding.line,
            says=finding.says,
            follows=finding.follows,
            diff=finding.diff,
            waived=finding.waived,
        )
        for finding in report.findings
    )
    return Audited(
        files=report.files, proxy_files=bool(inputs.proxies), heat_files=bool(inputs.heat), faults=faults
    )


def judged(gate_id: str) -> Callable[[Audited], Judgement]:
    """The check of one gate: PASS without errors and warnings, INCONCLUSIVE without the files."""

    def check(evidence: Audited) -> Judgement:
        return _judgement(BY_ID[gate_id], evidence)

    return check


def verdicts(report: Report, inputs: Inputs) -> tuple[Verdict, ...]:
    """A verdict for each gate."""
    evidence = audited(report, inputs)
    return tuple(
        Verdict(
            gate=gate.id,
            heading=gate.heading,
            guide=gate.guide,
            judgement=_judgement(gate, evidence),
            waived=evidence.waived(gate.id),
            evidence=evidence.files,
        )
        for gate in GATES
    )


def _judgement(gate: Gate, evidence: Audited) -> Judgement:
    faults = evidence.of(gate.id)
    serious = [fault for fault in faults if fault.serious]
    counts = Counter(fault.severity for fault in faults)
    figures = {f"{severity}s": counts[severity.value] for severity in Severity}
    if serious:
        shown = [f"{f.file}:{f.line}: {f.rule}: {f.says}" for f in serious]
        return failed(f"the audit finds {len(serious)} fault(s) in the files", shown, **figures)
    missing = [
        name
        for name, needed, given in (
            ("HAProxy's configuration", gate.needs_proxy, evidence.proxy_files),
            ("heat.conf", gate.needs_heat, evidence.heat_files),
        )
        if needed and not given
    ]
    if missing:
        return inconclusive(f"the audit was not given {' and '.join(missing)}", **figures)
    return passed("the audit finds no fault in the files", **figures)
