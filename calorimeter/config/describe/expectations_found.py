"""Describes `[expect]`: what is configured now, as a start for what the owner wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from calorimeter.config.audit.subject import ApiName, AuditedFiles
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.config.haproxy import HAProxyServer, ProxiedService, ProxySection
from calorimeter.config.heat.heat_conf import HeatProcessConf
from calorimeter.core.expect import BALANCES, HASH_TYPES, HASHED, ApiExpect, Expect, StickOn, first_word

MESSAGING_TIMES: dict[str, tuple[str, Callable[[list[float]], float]]] = {
    "heartbeat_s": ("heartbeat_timeout_threshold", max),
    "heartbeat_rate": ("heartbeat_rate", lambda given: int(min(given))),
    "reconnect_delay_s": ("kombu_reconnect_delay", max),
    "reconnect_interval_max_s": ("rabbit_interval_max", max),
}
"""Key of `[expect]` → option of [oslo_messaging_rabbit], and which of several values bounds an outage."""


def expect(subject: AuditedFiles, services: dict[ApiName, ProxiedService], answers: Answers) -> Expect:
    """What is configured in the sections of the APIs; a value of one API only stands in its own table."""
    front, back = services["rest"].front, services["rest"].back
    servers = [server for service in services.values() for server in service.back.servers]
    own: dict[str, Any] = {api: _of(service) for api, service in services.items()}
    alike = len({each.model_dump_json() for each in own.values()}) == 1
    shared = own["rest"] if alike else ApiExpect()
    return Expect(
        balance=shared.balance,
        stick_on=shared.stick_on,
        hash_type=shared.hash_type,
        weights=shared.weights or {},
        server_maxconn=shared.server_maxconn,
        timeout_client_s=front.timeout_s("client") or None,
        timeout_server_s=back.timeout_s("server") or None,
        timeout_connect_s=back.timeout_s("connect") or None,
        timeout_queue_s=back.timeout_s("queue") or None,
        timeout_http_request_s=front.timeout_s("http-request") or None,
        max_detection_s=answers.max_detection_s,
        max_recovery_s=answers.max_recovery_s,
        max_failover_s=answers.max_failover_s,
        cut_sessions=_cut(servers),
        tcp_keepalive=bool(front.option("tcpka", "clitcpka") and back.option("tcpka", "srvtcpka")),
        rpc_timeout_s=float(subject.rpc_response_timeout_s),
        rest=ApiExpect() if alike else own["rest"],
        cfn=ApiExpect() if alike or "cfn" not in own else own["cfn"],
        **messaging_times(subject.heat),
    )


def messaging_times(heat: Iterable[HeatProcessConf]) -> dict[str, Any]:
    """The options of Heat's files that bound an outage of a broker: of several, that of the longest one."""
    found: dict[str, Any] = {}
    confs = [*heat]
    for key, (option, longest) in MESSAGING_TIMES.items():
        given = [number for conf in confs if (number := conf.messaging_number(option)) is not None]
        try:
            if given:
                Expect.model_validate({key: longest(given)})
                found[key] = longest(given)
        except (ValueError, OverflowError):  # oslo.config refuses it, too; the audit says so
            continue
    return found


def _of(service: ProxiedService) -> ApiExpect:
    """Without words and weights that HAProxy refuses: nobody wants those."""
    back, word = service.back, first_word(service.back.text("balance"))
    hashed = back.text("hash-type") if word in HASHED else ""
    limits = {server.count("maxconn") for server in back.servers}
    weights = {
        server.name: server.weight
        for server in back.servers
        if server.weight != 1 and 0 <= server.weight <= 256 and not server.socket
    }
    return ApiExpect(
        balance=back.text("balance") if word in BALANCES else None,
        stick_on=_stick_on(back),
        hash_type=hashed if first_word(hashed) in HASH_TYPES else None,
        weights=weights or None,
        server_maxconn=(limits.pop() or None) if len(limits) == 1 else None,
    )


def _stick_on(back: ProxySection) -> StickOn | None:
    """What keeps a client on its server, if the section has it and it works."""
    kept = back.persistence
    if kept is None or not kept.works:
        return None
    if kept.kind == "cookie":
        return "cookie"
    return "src" if kept.line.words[1:3] == ("on", "src") else None


def _cut(servers: Sequence[HAProxyServer]) -> bool:
    """Whether the connections of every checked server end when it goes DOWN."""
    actions = [server.parameters.get("on-marked-down") for server in servers if server.check]
    return bool(actions) and all(action and action.value == "shutdown-sessions" for action in actions)
