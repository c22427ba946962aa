"""The messages of `haproxy -c` as findings: the program knows more than the rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calorimeter.config.audit.audit_report import AuditReport
from calorimeter.config.audit.model import Finding, LinePlace, Quote, Rule, Severity
from calorimeter.config.audit.secrets_in_files import secrets_in
from calorimeter.config.audit.subject import Inputs, Texts
from calorimeter.config.haproxy import program
from calorimeter.core.errors import InputError

_QUOTE = Quote("haproxy -c -f FILE", "HAProxy, the program's own check")
_TITLE = "HAProxy accepts the file"
_REMEDY = "correct the line until haproxy -c reports nothing"

REFUSES = Rule("A2-haproxy-refuses", Severity.ERROR, _TITLE, _REMEDY, _QUOTE, lambda rule, subject: ())
WARNS = Rule("A2-haproxy-warns", Severity.WARNING, _TITLE, _REMEDY, _QUOTE, lambda rule, subject: ())
LACKS = Rule(
    "A2-haproxy-lacks",
    Severity.NOTE,
    "This machine has what the file names",
    "check on the machine that runs the proxy",
    _QUOTE,
    lambda rule, subject: (),
)


def with_haproxy_messages(report: AuditReport, inputs: Inputs) -> AuditReport:
    """The report with a finding for each message of `haproxy -c` about the proxies that are to be asked.

    Raises InputError if one is to be asked and the program cannot be run.
    """
    secrets = secrets_in(inputs)
    asked = [files for name, files in inputs.proxies if name in inputs.ask_haproxy]
    found = [finding.masked(secrets) for files in asked for finding in _findings(files)]
    return report.model_copy(update={"faults": (*report.faults, *found)})


def _findings(files: Texts) -> Iterator[Finding]:
    messages = program.messages([Path(name) for name, _ in files])
    if messages is None:
        raise InputError(
            "--check-with-haproxy", "the haproxy program cannot be run here", "valid: where it is installed"
        )
    for message in messages:
        if message.about_this_machine:
            rule, effect = LACKS, "this machine lacks what the line names: it cannot be checked here"
        elif message.fatal:
            rule, effect = REFUSES, "HAProxy does not start"
        else:
            rule, effect = WARNS, "HAProxy starts with a warning"
        place = LinePlace(message.file, max(1, message.line))
        yield rule.finding(place, "", message.text, effect)
