"""The audit: what is wrong in the files, what follows from it, and the change that puts it right."""

from __future__ import annotations

from config.audit.model import Finding, Rule, Severity
from config.audit.report import Report, audit, corrected, patch
from config.audit.subject import Inputs

__all__ = ["Finding", "Inputs", "Report", "Rule", "Severity", "audit", "corrected", "patch"]
