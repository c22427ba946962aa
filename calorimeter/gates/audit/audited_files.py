"""The audit of the files that the deployment names; it opens no connection."""

from __future__ import annotations

from calorimeter.config import named_files
from calorimeter.config.audit import AuditReport, audit
from calorimeter.config.audit.haproxy_messages import with_haproxy_messages
from calorimeter.config.audit.secrets_in_files import secrets_hidden
from calorimeter.core.errors import InputError
from calorimeter.gates.context import Context, shared
from calorimeter.gates.evidence.unavailable import EvidenceUnavailable


@shared
def audited(context: Context) -> AuditReport:
    """Read and audit the files once for all gates. Raises EvidenceUnavailable if one cannot be read."""
    deployment = context.deployment
    try:
        inputs = named_files.from_deployment(deployment)
        with secrets_hidden(inputs):
            named_files.require_apis(inputs)
            return with_haproxy_messages(audit(inputs, deployment.waive), inputs)
    except InputError as problem:
        raise EvidenceUnavailable(problem.where, problem.given) from problem
