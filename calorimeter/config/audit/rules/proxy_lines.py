"""A2: every line of HAProxy's configuration can be read."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.changes import at
from calorimeter.config.audit.model import Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.subject import AuditedFiles


@rule(
    "A2-line-unreadable",
    Severity.WARNING,
    remedy="close the quote, or set the variable in the environment that the proxy starts with",
    quote=manual("2.3", "Variables are expanded during the configuration parsing."),
)
def line_unreadable(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy can read every line."""
    for proxy in subject.proxies:
        for line in proxy.configuration.tree.lines:
            if line.parsed.fault:
                yield rule.finding(
                    at(line), proxy.name, line.parsed.fault, "HAProxy rejects the file and does not start"
                )
            elif line.parsed.unset and line.active:
                yield rule.finding(
                    at(line),
                    proxy.name,
                    f"${', $'.join(line.parsed.unset)} is not set in the environment of the audit",
                    "the audit read the line with an empty value",
                )
