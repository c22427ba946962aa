"""The audit of the files that the deployment names; it opens no connection."""

from __future__ import annotations

from dataclasses import replace

from calorimeter.config import named_files
from calorimeter.config.audit import audit, haproxy_messages
from calorimeter.config.audit.judgement import Audited
from calorimeter.config.audit.judgement import audited as evidence
from calorimeter.core.errors import InputError
from calorimeter.gates.context import Context
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


def audited(context: Context) -> Audited:
    """Read the files once for all gates; `EvidenceUnavailable` where one cannot be read."""
    return context.once("audit", lambda: _audited(context))


def _audited(context: Context) -> Audited:
    deployment = context.deployment
    try:
        inputs = named_files.from_deployment(deployment)
        named_files.require_apis(inputs)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
    report = audit(inputs, deployment.waive)
    said = haproxy_messages.findings(named_files.proxy_paths(inputs))
    return evidence(replace(report, findings=(*report.findings, *said)), inputs)
