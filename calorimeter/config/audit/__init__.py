"""The audit: what is wrong in the files, the effect of it, and the change that corrects it."""

from __future__ import annotations

from calorimeter.config.audit.audit_report import AuditReport, audit, corrected, patch
from calorimeter.config.audit.model import Finding, Rule, Severity
from calorimeter.config.audit.subject import HeatFiles, Inputs

__all__ = [
    "AuditReport",
    "Finding",
    "HeatFiles",
    "Inputs",
    "Rule",
    "Severity",
    "audit",
    "corrected",
    "patch",
]
