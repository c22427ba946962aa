"""A5: a section behind another section of the same proxy sees one source."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.patches.changes import at
from calorimeter.config.audit.sections.section_chains import receivers
from calorimeter.config.audit.subject import AuditedFiles


@rule(
    "A5-source-hidden",
    Severity.ERROR,
    remedy="add send-proxy-v2 to the server line and accept-proxy to the bind, or use one section for both",
    quote=manual(
        "5.2 send-proxy",
        'The "send-proxy" parameter enforces use of the PROXY protocol over any connection established '
        "to this server.",
    ),
)
def source_hidden(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """A section that balances by source sees the sources."""
    for proxy in subject.proxies:
        services = proxy.configuration.services
        behind = {each.back.name for _, each in proxy.api_services if each.back.word("balance") == "source"}
        for service in services if behind else ():
            for server in service.back.servers if service.back.name not in behind else ():
                told = server.has("send-proxy") or server.has("send-proxy-v2")
                inner = (
                    []
                    if told
                    else [each for each in receivers(services, server) if each.back.name in behind]
                )
                if not inner:
                    continue
                yield rule.finding(
                    at(server.line),
                    f"server {server.name}",
                    f"sends to section {inner[0].back.name} of the same proxy, which balances by source",
                    "to that section all connections come from one address: one API gets all of them",
                )
