"""A6: the rules of a section leave its health check a request."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_before
from calorimeter.config.audit.subject import AuditedFiles


@rule(
    "A6-check-sends-nothing",
    Severity.ERROR,
    remedy="repeat option httpchk in the section, before its http-check lines",
    quote=manual(
        "4.2 option httpchk",
        "a complete HTTP request is sent once the TCP connection is established",
    ),
)
def check_sends_nothing(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every HTTP check sends its request."""
    for service in subject.services:
        health = service.back.values.health
        line = health.replacing
        if line is None or health.option is None or not any(s.check for s in service.back.servers):
            continue
        waits = any(step.expect for step in health.steps)
        yield rule.finding(
            at(line),
            service.back.name,
            f"its own http-check rules replace the inherited request ({' '.join(health.option.words)})",
            "HAProxy sends nothing and waits for an answer: every check times out, every server is DOWN"
            if waits
            else "HAProxy sends nothing: a server that accepts connections is UP",
            [insert_before(line, " ".join(health.option.words))],
            severity=None if waits else Severity.WARNING,
        )
