"""The audit of the files that the deployment names; it opens no connection."""

from __future__ import annotations

from dataclasses import replace

from calorimeter.config import named_files
from calorimeter.config.audit import audit, haproxy_messages
from calorimeter.config.audit.judgement import Audited
from calorimeter.config.audit.judgement import audited as evidence
from calorimeter.core.errors import InputError
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


@shared
def audited(context: Context) -> Audited:
    """Read and audit the files once for all gates. Raises EvidenceUnavailable if one cannot be read."""
    deployment = context.deployment
    try:
        inputs = named_files.from_deployment(deployment)
        named_files.require_apis(inputs)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
    report = audit(inputs, deployment.waive)
    said = haproxy_messages.findings(named_files.proxy_paths(inputs))
    return evidence(replace(report, findings=(*report.findings, *said)), inputs)
