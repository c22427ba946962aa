"""A5: the proxy balances as its owner wants, or, if that is not said, where it differs from the guide."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Finding, Rule, Severity, guide, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_into, shared_section
from calorimeter.config.audit.patches.section_changes import set_statement
from calorimeter.config.audit.subject import ApiName, AuditedFiles
from calorimeter.config.haproxy import ProxySection
from calorimeter.core.expect import HASHED

_UNSAID = "each request may go to another API. Heat's APIs keep no state, so this works; it is judged only"


def balance_of(back: ProxySection) -> str:
    """The balance in force in a section, without its argument: `hdr` of `hdr(Host)`."""
    return back.word("balance").partition("(")[0]


@rule(
    "A5-balance-not-source",
    Severity.ERROR,
    remedy="use balance source, or say which balance you want (--expect-balance, [expect] balance)",
    quote=manual(
        "4.2 balance",
        "The source IP address is hashed and divided by the total weight of the running servers "
        "to designate which server will receive the request.",
    ),
)
def balance_not_source(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Each source stays on one API, if the owner wants that."""
    for api, service in subject.api_services:
        back, wanted = service.back, subject.inputs.expect_balance.get(api)
        if wanted not in (None, "source") or _keeps_sources(back) or len(back.servers) < 2:
            continue
        says, balance = _in_force(back), back.values.get("balance")
        if wanted:
            yield rule.finding(
                at(balance.line if balance else back.line),
                back.name,
                f"{says}, but balance source is wanted",
                "successive requests of one client go to different APIs",
                [set_statement(subject, back, balance, "balance source")],
            )
        else:
            yield rule.finding(
                at(balance.line if balance else back.line),
                back.name,
                f"{says}; the guide has balance source",
                f"{_UNSAID} if you say what you want",
                severity=Severity.NOTE,
            )


@rule(
    "A5-balance-unwanted",
    Severity.ERROR,
    remedy="use the balance that you want, or correct --expect-balance or [expect] balance",
    quote=manual("4.2 balance", "Define the load balancing algorithm to be used in a backend."),
)
def balance_unwanted(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The balance is the one that the owner wants."""
    for api, service in subject.api_services:
        back, wanted = service.back, subject.inputs.expect_balance.get(api)
        if wanted in (None, "source", balance_of(back)) or len(back.servers) < 2:
            continue
        balance = back.values.get("balance")
        yield rule.finding(
            at(balance.line if balance else back.line),
            back.name,
            f"{_in_force(back)}, but balance {wanted} is wanted",
            "the load is spread over the APIs in another way than its owner expects",
            [set_statement(subject, back, balance, f"balance {wanted}")] if wanted not in HASHED else (),
        )


def _in_force(back: ProxySection) -> str:
    balance, kept = back.values.get("balance"), back.persistence
    says = f"has balance {back.word('balance')}" if balance else "has no balance: HAProxy uses roundrobin"
    if kept is None or kept.kind == "stick":
        return says
    if kept.works:
        return f"{says}, and a cookie, which command-line clients do not keep"
    return f"{says}, and a cookie that keeps no client on one server ({kept.lacks})"


def _keeps_sources(back: ProxySection) -> bool:
    """Whether a client stays on one server that keeps no cookies, as the openstack client does not."""
    kept = back.persistence
    return balance_of(back) == "source" or (kept is not None and kept.works and kept.kind == "stick")


@rule(
    "A5-mode-unsaid",
    Severity.NOTE,
    remedy="set mode tcp, or mode http with option httplog",
    quote=guide(
        "Because the heat CLI and APIs communicate by exchanging HTTP requests and responses, a HAProxy "
        "HTTP load balancer server will be deployed between them."
    ),
)
def mode_unset(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """The mode is set."""
    for service in subject.services:
        if service.front.values.get("mode") is None:
            section = shared_section(subject, service.front.section)
            yield rule.finding(
                at(section.header),
                service.front.name,
                "has no mode: HAProxy uses tcp",
                "connections are balanced, not requests: a kept-alive connection stays on its server until "
                "it ends, even if the hash would send it elsewhere; HAProxy cannot add headers; timeouts "
                "for HTTP have no effect",
                [insert_into(section, "mode tcp")],
            )


@rule(
    "A5-weight-zero",
    Severity.WARNING,
    remedy="give it a weight, or remove it",
    quote=manual(
        "5.2 weight",
        "A value of 0 means the server will not participate in load-balancing but will still accept "
        "persistent connections.",
    ),
)
def weight_zero(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server gets clients."""
    for api, service in subject.api_services:
        for server in service.back.servers:
            if server.weight == 0:
                yield rule.finding(
                    at(server.parameters["weight"].line),
                    f"server {server.name}",
                    "has weight 0",
                    "no new client is sent to it: it adds no capacity",
                    severity=_if_balance_is_said(subject, api),
                )


@rule(
    "A5-backup",
    Severity.WARNING,
    remedy="remove backup, or leave it where one active API is what you want",
    quote=manual(
        "5.2 backup",
        'When "backup" is present on a server line, the server is only used in load balancing when all '
        "other non-backup servers are unavailable.",
    ),
)
def backup(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Every server serves while the others do."""
    for api, service in subject.api_services:
        backups = [server for server in service.back.servers if server.has("backup")]
        if not backups or len(backups) == len(service.back.servers):
            continue
        names = ", ".join(server.name for server in backups)
        yield rule.finding(
            at(backups[0].parameters["backup"].line),
            service.name,
            f"has backup servers: {names}",
            "they serve nobody while another server is UP: they add no capacity",
            severity=_if_balance_is_said(subject, api),
        )


def _if_balance_is_said(subject: AuditedFiles, api: ApiName) -> Severity:
    """A server without clients is a choice (active and standby), unless the owner wants them balanced."""
    return Severity.WARNING if subject.inputs.expect_balance.get(api) else Severity.NOTE


@rule(
    "A5-slowstart-map-based",
    Severity.NOTE,
    remedy="remove slowstart, or use hash-type consistent",
    quote=manual(
        "4.2 hash-type",
        "weight changes while a server is up will be ignored. This means that there will be no slow start.",
    ),
)
def slowstart_map_based(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Changing weights work with the hash type in use."""
    for service, server in subject.servers:
        back = service.back
        if back.word("balance") != "source" or back.word("hash-type") != "map-based":
            continue
        if server.has("slowstart"):
            yield rule.finding(
                at(server.parameters["slowstart"].line),
                f"server {server.name}",
                "has slowstart, but the hash is map-based",
                "a server that comes back gets its whole share at once",
            )


@rule(
    "A5-closes-connections",
    Severity.NOTE,
    remedy="remove the option; keep-alive is HAProxy's default",
    quote=manual(
        "4.2 option httpclose",
        "By default HAProxy operates in keep-alive mode with regards to persistent connections",
    ),
)
def closes_connections(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Connections of clients are kept alive."""
    for service in subject.services:
        closing = service.front.option("httpclose", "forceclose") or service.back.option("httpclose")
        if service.front.word("mode") == "http" and closing:
            yield rule.finding(
                at(closing.line),
                service.name,
                "closes every connection after one response",
                "every request needs a new connection",
            )
