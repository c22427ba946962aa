"""A6: what the health checks request, and whether Heat's answer keeps a server UP."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Change, Finding, Rule, Severity, manual, rule
from calorimeter.config.audit.patches.changes import at, insert_into, replace_line
from calorimeter.config.audit.patches.section_changes import is_own
from calorimeter.config.audit.subject import ApiName, AuditedFiles
from calorimeter.config.haproxy import HAProxyServer, ProxySection
from calorimeter.config.haproxy.http_checks import CHECK_OPTIONS
from calorimeter.config.heat import api_answers
from calorimeter.config.heat.api_answers import HEALTH_PAGE, HEALTH_PAGE_SINCE

_REQUEST = f"option httpchk GET {HEALTH_PAGE}"


def refusal(subject: AuditedFiles, api: ApiName, back: ProxySection) -> int | None:
    """The status of the API's answer to the checks of a section, if they do not accept it.

    None if they accept it, if it cannot be determined, or if the checks request nothing by HTTP.
    """
    request = back.health_request
    if request is None:
        return None
    status = api_answers.status(api, request.method, request.path, subject.inputs.heat_release)
    return status if status is not None and back.accepted_statuses.accepts(status) is False else None


@rule(
    "A6-check-refused",
    Severity.ERROR,
    remedy="accept the API's answer (HAProxy's default: 200-399), or request GET /healthcheck (since Heat "
    "15)",
    quote=manual(
        "4.2 http-check expect",
        'By default, "option httpchk" considers that response statuses 2xx and 3xx are valid, and that '
        "others are invalid.",
    ),
)
def check_refused(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """A healthy API's answer to the check keeps its server UP."""
    for api, service in subject.api_services:
        back = service.back
        request, status = back.health_request, refusal(subject, api, back)
        servers = [server for server in _asked(back) if server.check]
        if not servers or request is None or status is None:
            continue
        heat, since = "Heat", ""
        if status == 404 and api_answers.shows_health(request.path):
            heat, since = f"Heat {subject.inputs.heat_release}", f" ({HEALTH_PAGE} exists since Heat 15)"
        yield rule.finding(
            at(back.accepted_statuses.line or request.line),
            back.name,
            f"the check requests {request.text}, which {heat} answers with {status}{since}; the check does "
            f"not accept {status}",
            "every server that is checked is DOWN: no client is served, although the APIs are healthy",
            _request_health_page(subject, back),
        )


def _asked(back: ProxySection) -> list[HAProxyServer]:
    """The servers whose checks ask the API itself, not a program at another address or port."""
    return [
        server
        for server in back.servers
        if not server.has("addr") and (server.count("port") or server.port) == server.port
    ]


def _request_health_page(subject: AuditedFiles, back: ProxySection) -> Iterator[Change]:
    """The change to GET /healthcheck, if this release has it and the check will accept its answer."""
    release, option, request = subject.inputs.heat_release, back.option("httpchk"), back.health_request
    if release is None or release < HEALTH_PAGE_SINCE or len(_asked(back)) < len(back.servers):
        return
    if option and is_own(back, option):
        if request and request.line == option.line and back.accepted_statuses.accepts(200):
            yield replace_line(option.line, _REQUEST)
    elif not any(is_own(back, rule) for rule in back.values.all("http-check")):
        yield insert_into(back.section, _REQUEST)


@rule(
    "A6-check-without-http",
    Severity.WARNING,
    remedy="add option httpchk GET /healthcheck (since Heat 15; before, option httpchk)",
    quote=manual(
        "4.2 option httpchk",
        "By default, server health checks only consist in trying to establish a TCP connection.",
    ),
)
def check_without_http(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Checks need an HTTP answer, not only a connection."""
    for service in subject.services:
        back = service.back
        if connects_only(back) and len(back.servers) > 1:
            checked = any(server.check for server in back.servers)
            yield rule.finding(
                at(back.servers[0].line),
                back.name,
                "is checked by TCP connections only" if checked else "has no option httpchk",
                "an API that accepts connections and answers nothing (frozen, or out of threads) stays UP",
                _request_health_page(subject, back),
            )


def connects_only(back: ProxySection) -> bool:
    """Whether the checks of a section need a connection and no answer."""
    return back.option(*CHECK_OPTIONS) is None


@rule(
    "A6-check-shallow",
    Severity.WARNING,
    remedy="request GET /healthcheck, which Heat has since release 15 (it still does not test RabbitMQ: "
    "see docs/reference/audit.md)",
    quote=manual(
        "4.2 option httpchk",
        'When not set, the "OPTIONS" method is used, as it generally requires low server processing',
    ),
)
def check_shallow(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Checks request the API's own health page."""
    release = subject.inputs.heat_release
    if release is not None and release < HEALTH_PAGE_SINCE:
        return  # there is no such page
    used = any(conf.get("backends", "healthcheck") for conf in subject.having("rest", "cfn"))
    for api, service in subject.api_services:
        back, request = service.back, service.back.health_request
        if request is None or not _asked(back) or refusal(subject, api, back) is not None:
            continue
        if api_answers.status(api, request.method, request.path, release) is None:
            continue  # not a path of Heat's: a server in front of it may answer
        page = api_answers.shows_health(request.path)
        if page and back.accepted_statuses.accepts(503) is not True:
            continue
        yield rule.finding(
            at(request.line),
            back.name,
            f"the check requests {request.text}" + (" and accepts 503" if page else ""),
            ("" if page else "the API gives that answer in any state of health: ")
            + f"an API that its operator has taken out of service ({HEALTH_PAGE} answers 503) stays UP",
            () if page else _request_health_page(subject, back),
            severity=Severity.WARNING if used else Severity.NOTE,
        )
