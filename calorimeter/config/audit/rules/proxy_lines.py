"""A2: every line of HAProxy's configuration can be read."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.patches.changes import at, replace_line
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyLine
from calorimeter.config.haproxy.refused_lines import old_lines, refused_lines


@rule(
    "A2-line-unreadable",
    Severity.ERROR,
    remedy="correct the line; instead of include, give HAProxy and the audit the folder (-f, --proxy)",
    quote=manual("4.1", "The following list of keywords is supported."),
)
def line_unreadable(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy can read every line."""
    for proxy in subject.proxies:
        for refused in refused_lines(proxy.configuration.tree):
            meant = f"; did you mean {refused.nearest!r}?" if refused.nearest else ""
            yield rule.finding(
                at(refused.line),
                proxy.name,
                f"{refused.says}{meant}",
                "HAProxy rejects the file and does not start; the audit ignores the line",
            )


@rule(
    "A2-line-of-haproxy-1",
    Severity.WARNING,
    remedy="use the statement that replaces it",
    quote=manual(
        "4.1", "they are inherited from an old syntax which may be confusing or functionally limited"
    ),
)
def line_of_haproxy_1(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """HAProxy 2 accepts every statement."""
    for proxy in subject.proxies:
        for old in old_lines(proxy.configuration.tree):
            new = "" if not old.now else f"; now: {', then '.join(line.strip() for line in old.now)}"
            yield rule.finding(
                at(old.line),
                old.line.words[1] if old.line.keyword in ("listen", "frontend") else proxy.name,
                f"{old.says}{new}",
                "HAProxy 1 accepts it; HAProxy 2.1 and later do not start",
                [replace_line(old.line, *old.now)] if old.now else [],
            )


@rule(
    "A2-variable-unset",
    Severity.NOTE,
    remedy="run the audit with the environment that HAProxy starts with",
    quote=manual("2.3", "Variables are expanded during the configuration parsing."),
)
def variable_unset(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every variable is set where the audit runs."""
    for proxy in subject.proxies:
        uses: dict[str, list[HAProxyLine]] = {}
        for line in proxy.configuration.tree.lines:
            if line.active:
                for _, name in line.parsed.unset:
                    uses.setdefault(name, []).append(line)
        for section in proxy.configuration.proxies:
            places = [(each.unset, each.line) for each in section.binds]
            for unset, line in (*places, *((each.unset, each.line) for each in section.servers)):
                for name in unset:
                    uses.setdefault(name, []).append(line)
        for name, lines in uses.items():
            number = len(set(lines))
            count = f", used in {number} lines," if number > 1 else ""
            yield rule.finding(
                at(lines[0]),
                proxy.name,
                f"${name}{count} is not set here",
                "an address with it cannot be determined, so nothing is said about it; elsewhere it is "
                "read as empty",
            )
