"""An audit: every rule applied to the files, the findings in order, and the corrected files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from calorimeter.config.audit.model import Change, Finding, Severity, readable
from calorimeter.config.audit.patches import safe_changes
from calorimeter.config.audit.patches.edited_text import applied, diff
from calorimeter.config.audit.secrets_in_files import secrets_in
from calorimeter.config.audit.subject import Inputs
from calorimeter.core.secrecy.masking import SecretValues
from calorimeter.core.toml import Model
from calorimeter.core.verdict import gate_order

_ORDER = {severity: rank for rank, severity in enumerate(Severity)}


class AuditReport(Model):
    """An audit, which is also the evidence of the gates A; no password is in it.

    `files` were read; `proxy_files` and `heat_files` are whether any of each kind were given. `faults` are
    the findings by gate, the worst of each gate first.
    """

    files: tuple[str, ...]
    proxy_files: bool
    heat_files: bool
    faults: tuple[Finding, ...]

    @property
    def open(self) -> tuple[Finding, ...]:
        """The findings that are not waived."""
        return tuple(finding for finding in self.faults if finding.waived is None)

    @property
    def status(self) -> int:
        """The exit status: 1 if an error or a warning is not waived, else 0."""
        return int(any(finding.serious for finding in self.open))

    def of(self, gate: str) -> tuple[Finding, ...]:
        """The findings that belong to a gate."""
        return tuple(finding for finding in self.faults if finding.gate == gate)

    def waived(self, gate: str) -> str | None:
        """The owner's reasons, if every error and warning of the gate is waived, by rule or by gate."""
        reasons = [finding.waived for finding in self.of(gate) if finding.serious]
        given = [reason for reason in reasons if reason is not None]
        return "; ".join(dict.fromkeys(given)) if given and len(given) == len(reasons) else None


def audit(inputs: Inputs, waive: Mapping[str, str] | None = None) -> AuditReport:
    """Read the texts and apply every rule; never raises, and reads nothing but the texts.

    `waive` holds the owner's reasons by rule (`A6-no-check`) or by gate (`A6`). A finding has the changes
    that were tried and are safe (see `safe_changes`); one that is waived has none. Secrets of the files are
    masked in all of its texts.
    """
    waived = waive or {}
    found = safe_changes.audited(inputs)
    safe = safe_changes.safe(found, frozenset(waived))
    secrets = secrets_in(inputs)
    findings = [
        finding.masked(secrets, _diff(safe.get(index, ()), found.texts)).model_copy(
            update={
                "changes": safe.get(index, ()),
                "writes_secret": _has_secret(safe.get(index, ()), secrets),
                "waived": waived.get(finding.rule, waived.get(finding.gate)),
            }
        )
        for index, finding in enumerate(found.findings)
    ]
    findings.sort(key=lambda f: (gate_order(f.gate), _ORDER[f.severity], f.rule, f.file, f.line))
    return AuditReport(
        files=tuple(readable(name) for name in found.texts),
        proxy_files=bool(inputs.proxies),
        heat_files=bool(inputs.heat),
        faults=tuple(findings),
    )


def corrected(inputs: Inputs, waive: Mapping[str, str] | None = None) -> Inputs:
    """The inputs with all safe changes applied, except those of waived findings."""
    return safe_changes.corrected(inputs, frozenset(waive or {}))


def patch(before: Inputs, after: Inputs) -> str:
    """All changes as one patch for `patch -p1`; it holds passwords as the files do."""
    new = after.texts
    return "".join(diff(name, text, new[name]) for name, text in before.texts.items())


def _diff(changes: Iterable[Change], texts: Mapping[str, str]) -> str:
    files = dict.fromkeys(change.file for change in changes if change.file in texts)
    if not files:
        return ""
    after = applied({name: texts[name] for name in files}, changes)
    diffs = (diff(name, texts[name], after[name], context=1) for name in files)
    return readable("".join(diffs))


def _has_secret(changes: tuple[Change, ...], secrets: SecretValues) -> bool:
    return any(secrets.hide_lines(line) != line for change in changes for line in change.lines)
