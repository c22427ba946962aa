"""The messages of `haproxy -c` as findings: the program knows more than the rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Finding, LinePlace, Quote, Rule, Severity
from calorimeter.config.audit.secrets_in_files import secrets_in
from calorimeter.config.audit.subject import Inputs
from calorimeter.config.haproxy import program

_QUOTE = Quote("haproxy -c -f FILE", "HAProxy, the program's own check")
_TITLE = "HAProxy accepts the file"
_REMEDY = "correct the line until haproxy -c reports nothing"

REFUSES = Rule("A2-haproxy-refuses", Severity.ERROR, _TITLE, _REMEDY, _QUOTE, lambda rule, subject: ())
WARNS = Rule("A2-haproxy-warns", Severity.WARNING, _TITLE, _REMEDY, _QUOTE, lambda rule, subject: ())


def with_haproxy_messages(report: AuditReport, inputs: Inputs) -> AuditReport:
    """The report, extended by a finding for each message of `haproxy -c`, if the program is installed."""
    paths = [Path(name) for _, files in inputs.proxies for name, _ in files]
    secrets = secrets_in(inputs)
    found = (finding.masked(secrets) for finding in _findings(paths))
    return report.model_copy(update={"faults": (*report.faults, *found)})


def _findings(paths: Sequence[Path]) -> Iterator[Finding]:
    for message in (program.messages(paths) or ()) if paths else ():
        rule = REFUSES if message.fatal else WARNS
        effect = "HAProxy does not start" if message.fatal else "HAProxy starts with a warning"
        yield rule.finding(LinePlace(message.file, max(1, message.line)), "", message.text, effect)
