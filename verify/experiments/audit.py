"""The audit of the files that the deployment names; it opens no connection."""

from __future__ import annotations

from dataclasses import replace

from calorimeter.errors import InputError
from config import sources
from config.audit import audit, program
from config.audit.gates import Audited
from config.audit.gates import audited as evidence
from verify.bench import Bench
from verify.evidence.unavailable import EvidenceUnavailable


def audited(bench: Bench) -> Audited:
    """Read the files once for all gates; `EvidenceUnavailable` where one cannot be read."""
    return bench.once("audit", lambda: _audited(bench))


def _audited(bench: Bench) -> Audited:
    deployment = bench.deployment
    try:
        inputs = sources.from_deployment(deployment)
        sources.require_apis(inputs)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
    report = audit(inputs, deployment.waive)
    said = program.findings(sources.proxy_paths(inputs))
    return evidence(replace(report, findings=(*report.findings, *said)), inputs)
