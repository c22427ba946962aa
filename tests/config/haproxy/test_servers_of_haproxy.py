"""Servers as a running HAProxy has them: addresses, parameters, `default-server`, templates, `disabled`."""

from __future__ import annotations

import random
from pathlib import Path

from calorimeter.config import haproxy
from calorimeter.config.haproxy import HAProxyServer, ProxySection
from tests.config.haproxy import running_haproxy
from tests.config.haproxy.running_haproxy import running

HEADER = "global\n setenv HOST 127.0.0.1\n setenv P 8004\n"
TIMES = " timeout connect 1s\n timeout server 1s\n timeout client 1s\n"
_ADDRESSES = """
    127.0.0.1:80 $HOST:81 ${HOST}:$P "${HOST}:82" 127.0.0.3:${P} ipv4@127.0.0.1:83 [::1]:84 ::1:85
"""
ADDRESSES = _ADDRESSES.split()
_PARAMETERS = """
    check no-check backup no-backup disabled enabled weight=0 weight=7 weight=256 maxconn=20 maxconn=0
    fall=5 rise=4 inter=5s fastinter=1s no-ssl cookie=x on-marked-down=shutdown-sessions slowstart=1s
    port=99
"""
PARAMETERS = _PARAMETERS.split()


def _parameters(chance: random.Random) -> str:
    return " ".join(chance.choices(PARAMETERS, k=chance.randint(0, 4))).replace("=", " ")


def _statement(chance: random.Random, number: int) -> str:
    kind = chance.choice(("server", "server", "server-template", "default-server", "plain"))
    address = chance.choice(ADDRESSES)
    if kind == "default-server":
        return f"default-server {_parameters(chance) or 'check'}"
    if kind == "server-template":
        return (
            f"server-template t{number}- {chance.choice(('2', '4-6', '1'))} {address} {_parameters(chance)}"
        )
    return f"server s{number} {address} {_parameters(chance)}"


def _section(chance: random.Random, name: str) -> str:
    lines = [_statement(chance, number) for number in range(chance.randint(1, 5))]
    inherited = f" default-server {_parameters(chance) or 'check'}\n" * chance.randint(0, 1)
    state = chance.choice(("", "", "", " disabled\n", " enabled\n"))
    before = " disabled\n" * (chance.random() < 0.1)
    body = "".join(f" {line}\n" for line in lines)
    return f"defaults\n{TIMES}{before}{inherited}backend {name}\n{state}{body}"


def _ours(server: HAProxyServer) -> tuple[object, ...]:
    checked = server.check and not server.has("disabled")  # HAProxy does not show the checks of those
    return (
        (server.host, server.port),
        server.weight,
        server.has("disabled"),
        server.has("backup"),
        checked,
        (server.rise, server.fall) if checked else None,
        server.count("maxconn") or 0,
    )


def _theirs(state: list[str], row: dict[str, str]) -> tuple[object, ...]:
    checked = row["status"] not in ("no check", "MAINT")
    return (
        (state[4], int(state[18])),
        int(state[8]),
        row["status"] == "MAINT",
        row["bck"] == "1",
        checked,
        (int(row["check_rise"]), int(row["check_fall"])) if checked else None,
        int(row["slim"] or 0),
    )


def test_servers_agree_with_a_running_haproxy(tmp_path: Path) -> None:
    """Generated sections: HAProxy has our servers, each with our address and parameters."""
    chance = random.Random(15)
    texts = [_section(chance, f"b{number}") for number in range(100)]
    text = "".join(running_haproxy.accepted(HEADER, texts, tmp_path))
    sections = haproxy.resolve(haproxy.parse([("f", HEADER + text)], {})).proxies
    assert len(sections) > 60
    with running(text, tmp_path, HEADER.partition("\n")[2]) as program:
        lines = [line.split() for line in program.ask("show servers state").splitlines()]
        stat = program.stat()
    states = {(words[1], words[3]): words for words in lines if len(words) > 20 and words[0] != "#"}
    for section in sections:
        if section.disabled:
            assert (section.name, "BACKEND") not in stat
            continue
        _compare(section, states, stat)


def _compare(
    section: ProxySection,
    states: dict[tuple[str, str], list[str]],
    stat: dict[tuple[str, str], dict[str, str]],
) -> None:
    ours = {server.name: _ours(server) for server in section.servers}
    own = [words for words in states.values() if words[1] == section.name]
    theirs = {words[3]: _theirs(words, stat[section.name, words[3]]) for words in own}
    assert ours == theirs, "".join(line.text for line in section.section.lines)
