"""A2: behind a proxy that ends TLS, Heat gives links that clients can use."""

from __future__ import annotations

from collections.abc import Iterator

from calorimeter.config.audit.model import Change, Finding, Quote, Rule, Severity, rule
from calorimeter.config.audit.patches.changes import at, insert_into, set_option
from calorimeter.config.audit.sections.section_chains import inner
from calorimeter.config.audit.subject import AuditedFiles
from calorimeter.config.haproxy import HAProxyLine, ProxiedService
from calorimeter.config.haproxy.servers import Bind
from calorimeter.config.heat.heat_conf import EVERY_ROLE, HeatProcessConf

_HEADER = "X-Forwarded-Proto"
_SETS = ("set-header", "add-header")
_OPTION = ("enable_proxy_headers_parsing", "oslo_middleware")
_EFFECT = (
    "Heat takes every request for plain HTTP: the links and redirects (Location) in its answers start with "
    "http://, and clients that follow them to a TLS port fail, as `openstack stack show NAME` does"
)


@rule(
    "A2-https-links",
    Severity.WARNING,
    remedy=f"set the header (http-request set-header {_HEADER} https if {{ ssl_fc }}, in mode http), and "
    "enable_proxy_headers_parsing = true in [oslo_middleware] of heat.conf",
    quote=Quote(
        "Whether the application is behind a proxy or not. This determines if the middleware should parse "
        "the headers or not.",
        "oslo.middleware, enable_proxy_headers_parsing",
    ),
)
def https_links(rule: Rule, subject: AuditedFiles) -> Iterator[Finding]:
    """Behind TLS that ends at the proxy, Heat's links start with https://."""
    deaf = _not_parsing(subject)
    for service in _tls_services(subject):
        bind, told = _tls_bind(service), _tells(service) or _tells_later(subject, service)
        if bind is None or (told and not deaf) or all(s.has("ssl") for s in service.back.servers):
            continue  # an API that is reached by TLS itself knows
        hosts = ", ".join(dict.fromkeys(conf.host for conf in deaf))
        if told:
            says = f"HAProxy sets {_HEADER}, but enable_proxy_headers_parsing is not true on {hosts}"
        elif service.front.word("mode") != "http":
            says = f"TLS ends here in mode tcp, in which HAProxy cannot set {_HEADER}"
        else:
            says = f"TLS ends here, but {_HEADER} is not set"
        if not told and deaf:
            says += f"; enable_proxy_headers_parsing is not true on {hosts} either"
        if not subject.heat:
            says += "; whether Heat would read it cannot be determined without its files"
        yield rule.finding(at(bind.line), service.front.name, says, _EFFECT, _tell(service, told, deaf))


def _tls_services(subject: AuditedFiles) -> Iterator[ProxiedService]:
    """The services of the REST API, once for each front section; the CFN API gives no links."""
    fronts = {service.front.line: service for api, service in subject.api_services if api == "rest"}
    return iter(fronts.values())


def _tls_bind(service: ProxiedService) -> Bind | None:
    return next((bind for bind in service.front.binds if "ssl" in bind.options), None)


def _tells(service: ProxiedService) -> bool:
    """Whether a line tells the API that its client uses https."""
    if service.front.word("mode") != "http":
        return False
    inherited = [service.front.values.get("http-request"), service.back.values.get("http-request")]
    lines = [statement.line for statement in inherited if statement]
    return any(
        _sets_https(line)
        for line in (*service.front.section.statements, *service.back.section.statements, *lines)
    )


def _tells_later(subject: AuditedFiles, service: ProxiedService) -> bool:
    """Whether a section between the frontend for TLS and the API tells it, as one behind a mode tcp does.

    There the client's connection is a plain one of the proxy's own, so that `ssl_fc` is false.
    """
    between = (
        each
        for proxy in subject.proxies
        if any(found is service for _, found in proxy.api_services)
        for each in inner(proxy.configuration.services, service.front)
        if each.front.word("mode") == "http"
    )
    return any(
        _sets_https(line) and "ssl_fc" not in " ".join(line.words)
        for each in between
        for line in (*each.front.section.statements, *each.back.section.statements)
    )


def _sets_https(line: HAProxyLine) -> bool:
    words = [word.lower() for word in line.words]
    match words:
        case ["http-request", action, "x-forwarded-proto", value, *_] if action in _SETS:
            return value != "http"
        case ["http-request", action, "forwarded", *values] if action in _SETS:
            return "proto=" in " ".join(values)
        case ["reqadd" | "reqirep" | "reqrep", *values]:  # before HAProxy 2.1
            return "x-forwarded-proto" in " ".join(values)
        case ["option", "forwarded", *_]:  # since HAProxy 2.8
            return True
    return False


def _not_parsing(subject: AuditedFiles) -> tuple[HeatProcessConf, ...]:
    """The Heat files of REST APIs that do not read the header.

    A file of which it is not known whether a REST API reads it counts only if no other file is right.
    """
    rest = subject.having("rest")
    if any(map(_parses, rest)):
        rest = tuple(conf for conf in rest if conf.roles != EVERY_ROLE or conf.listener("rest").value)
    return tuple(conf for conf in rest if not _parses(conf))


def _parses(conf: HeatProcessConf) -> bool:
    value = conf.get(*_OPTION)
    return value is not None and value.true


def _tell(service: ProxiedService, told: bool, deaf: tuple[HeatProcessConf, ...]) -> Iterator[Change]:
    if not told and service.front.word("mode") != "http":
        return
    if not told:
        yield insert_into(service.front.section, f"http-request set-header {_HEADER} https if {{ ssl_fc }}")
    key, group = _OPTION
    yield from (set_option(conf, group, key, "true") for conf in deaf)
