"""Changes of one section of HAProxy's configuration that leave other services as they are."""

from __future__ import annotations

from calorimeter.config.audit.model import Change
from calorimeter.config.audit.patches.changes import insert_into, remove_line, replace_line
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyLine, ProxySection
from calorimeter.config.haproxy.values import Statement


def is_own(section: ProxySection, statement: Statement | None) -> bool:
    """Whether a statement in force in a section is in that section, not in `defaults`."""
    return statement is not None and statement.line in section.section.lines


def set_statement(
    subject: AuditedFiles, section: ProxySection, statement: Statement | None, words: str
) -> Change:
    """Replace a statement in force in a section. If others may inherit it, the section gets its own."""
    if statement and _changeable(subject, section, statement.line):
        return replace_line(statement.line, words)
    return insert_into(section.section, words)


def without_statement(
    subject: AuditedFiles, section: ProxySection, statement: Statement
) -> tuple[Change, ...]:
    """Remove a statement in force in a section; nothing if others may inherit it."""
    return (remove_line(statement.line),) if _changeable(subject, section, statement.line) else ()


def _changeable(subject: AuditedFiles, section: ProxySection, line: HAProxyLine) -> bool:
    """Whether a line concerns no service but Heat's: it is the section's own, or in a file of Heat only."""
    if line in section.section.lines:
        return True
    if line.file != section.line.file:
        return False  # the `defaults` of a folder of files, which may not all be here
    for proxy in subject.proxies:
        heat = {(service.front.line, service.back.line) for _, service in proxy.api_services}
        every = {(service.front.line, service.back.line) for service in proxy.configuration.services}
        if section in proxy.configuration.proxies:
            return every == heat
    return False
