"""What health checks request and accept; compared with a running HAProxy."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from calorimeter.config import haproxy
from calorimeter.config.haproxy import ProxySection
from tests.config.haproxy import running_haproxy
from tests.config.haproxy.running_haproxy import AnsweringServers, running

TIMES = " timeout connect 150ms\n timeout check 150ms\n timeout server 1s\n timeout client 1s\n"
STATEMENTS = (
    "option httpchk",
    "option httpchk /uri",
    "option httpchk GET /get",
    "option httpchk HEAD / HTTP/1.0",
    r"option httpchk HEAD /osa HTTP/1.0\r\nUser-agent:\ osa",
    "option tcp-check",
    "http-check send meth GET uri /send",
    "http-check send uri /only hdr meth x",
    "http-check send meth DELETE",
    "http-check send hdr X y",
    "http-check connect",
    "http-check comment x",
    "http-check disable-on-404",
    "http-check send-state",
    "http-check expect status 200",
    "http-check expect status 200-299,300",
    "http-check expect ! status 500-599",
    "http-check expect !rstatus ^(4|5)",
    "http-check expect rstatus (2|3|4)[0-9][0-9]",
    "http-check expect comment x min-recv 3 status 404",
    "http-check expect ! string nope",
)


def section(own: str, defaults: str = "") -> ProxySection:
    """A section with statements, separated by `;`, of its own and of its defaults."""
    text = f"defaults\n{_lines(defaults)}backend b\n{_lines(own)} server s 127.0.0.1:1 check\n"
    (proxy,) = haproxy.resolve(haproxy.parse([("f", text)], {})).proxies
    return proxy


def _lines(statements: str) -> str:
    return "".join(f" {each}\n" for each in statements.split(";") if each)


@pytest.mark.parametrize(
    ("own", "defaults", "request_", "accepted"),
    [
        ("", "", None, None),
        ("option tcp-check", "", None, None),
        ("option httpchk", "", "OPTIONS /", [200, 300]),
        ("option httpchk HEAD / HTTP/1.1", "", "HEAD /", [200, 300]),
        ("option httpchk GET /;http-check expect status 200", "", "GET /", [200]),
        ("option httpchk;http-check expect ! rstatus ^5", "", "OPTIONS /", [200, 300, 404]),
        ("option httpchk;http-check expect status 200;http-check expect status 404", "", "OPTIONS /", []),
        ("http-check disable-on-404", "option httpchk GET /d;http-check expect status 404", "GET /d", []),
        ("option httpchk GET /own", "option httpchk;http-check expect status 404", "GET /own", [200, 300]),
        ("option httpchk;http-check expect rstatus (", "", "OPTIONS /", None),
        ("option httpchk;http-check expect string x", "", "OPTIONS /", None),
    ],
)
def test_the_request_and_the_statuses_of_a_check(
    own: str, defaults: str, request_: str | None, accepted: list[int] | None
) -> None:
    """The last option decides; own rules replace the inherited ones; the default is 2xx and 3xx."""
    proxy = section(own, defaults)
    assert (proxy.health_request.text if proxy.health_request else None) == request_
    told = [proxy.accepted_statuses.accepts(status) for status in (200, 300, 404, 503)]
    if accepted is None:
        assert told == [None] * 4
    else:
        assert told == [status in accepted for status in (200, 300, 404, 503)]


def test_a_rule_of_a_section_can_take_the_inherited_request_away() -> None:
    """`http-check expect` beside an inherited `option httpchk` leaves a check that sends nothing."""
    proxy = section("http-check expect status 200", "option httpchk GET /healthcheck")
    assert proxy.health_request is None
    line = proxy.values.health.replacing
    assert line is not None
    assert line.words == ("http-check", "expect", "status", "200")


@pytest.mark.slow
def test_checks_agree_with_a_running_haproxy(tmp_path: Path) -> None:
    """Generated sections: the server sees our request, and is UP or DOWN as we say."""
    chance = random.Random(29)
    drawn = [[chance.choices(STATEMENTS, k=chance.randint(0, most)) for most in (2, 4)] for _ in range(120)]
    with ExitStack() as stack:
        statuses = [chance.choice((200, 200, 300, 404, 503)) for _ in drawn]
        servers = AnsweringServers(statuses, stack)
        texts = [
            f"defaults\n{TIMES}{_lines(';'.join(defaults))}backend b{port}\n{_lines(';'.join(own))}"
            f" server s 127.0.0.1:{port} check inter 100ms fall 1 rise 1\n"
            for port, (defaults, own) in zip(servers.ports, drawn, strict=True)
        ]
        text = "".join(running_haproxy.accepted("global\n", texts, tmp_path))
        proxies = haproxy.resolve(haproxy.parse([("f", text)], {})).proxies
        assert len(proxies) > 60
        status_of = dict(zip(servers.ports, statuses, strict=True))
        with running(text, tmp_path) as program:
            time.sleep(0.6)
            stat = program.stat()
        for proxy in proxies:
            port = proxy.servers[0].port or 0
            row = stat[proxy.name, "s"]
            about = (dict(zip(servers.ports, drawn, strict=True))[port], row["check_status"])
            request = proxy.health_request
            assert servers.requests.get(port) == (request.text if request else None), about
            up = proxy.accepted_statuses.accepts(status_of[port])
            if up is not None:
                assert (row["status"] == "UP") == up, about


@pytest.mark.parametrize("pattern", [".?" * 5000 + "x", "(?:(?:.?){99}){99}x", "(?:.?){60000}x"])
def test_a_pattern_that_takes_very_long_is_not_tried(pattern: str) -> None:
    """What a file's pattern accepts is unknown then: neither a hang nor a guess."""
    started = time.process_time()
    for given, accepts in ((pattern, None), ("^2[0-9]{2}$", True), ("^5..$", False)):
        text = "listen x\n mode http\n bind :1\n option httpchk\n server s h:1\n"
        text += f" http-check expect rstatus {given}\n"
        (service,) = haproxy.resolve(haproxy.parse([("f", text)], {})).services
        assert service.back.accepted_statuses.accepts(200) is accepts
    assert time.process_time() - started < 0.5
