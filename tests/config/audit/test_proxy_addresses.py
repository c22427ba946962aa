"""A2: the proxy's own addresses, names, and what is proposed for a missing server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calorimeter.config import audit
from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.describe.deployment_from_files import describe
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.deployment import Address
from tests.config.audit import clean


def found(text: str, *heat: tuple[str, str], **options: object) -> list[str]:
    """The rules of A1 and A2 that find something, in order."""
    inputs = Inputs(
        proxies=(("proxy", (("p.cfg", text),)),),
        heat=tuple(HeatFiles(host, ((f"{host}.conf", conf),)) for host, conf in heat),
    )
    inputs = replace(inputs, **options)  # type: ignore[arg-type]
    return [each.rule for each in audit.audit(inputs).faults if each.gate in ("A1", "A2")]


def at(address: str) -> str:
    """A heat.conf whose REST API listens at an address."""
    return f"[heat_api]\nbind_host = {address}\nbind_port = 8004\n"


LOOPS = [
    ("bind 10.0.0.1:8004", "10.0.0.1:8004", True),
    ("bind *:8004", "127.0.0.1:8004", True),
    ("bind *:8004", "10.0.0.11:8004", False),  # another machine, as far as the files say
    ("bind 10.0.0.250:8004", "10.0.0.11:8004", False),
    ("bind 10.0.0.250:8004", "127.0.0.1:8004", False),
    ("bind 10.0.0.250:8004", "127.0.0.1:8443", False),  # to the section below, and on to the API
    ("bind 10.0.0.250:8004", "127.0.0.1:8444", True),  # to the section below, and back
]


@pytest.mark.parametrize(("bind", "server", "loop"), LOOPS)
def test_only_a_loop_is_the_proxy_itself(bind: str, server: str, loop: bool) -> None:
    """A server is the proxy itself if its request comes back to the same frontend."""
    text = (
        f"listen heat_api\n {bind}\n server n1 {server}\n"
        "listen inner\n bind 127.0.0.1:8443\n server n1 10.0.0.11:8004\n"
        "listen back\n bind 127.0.0.1:8444\n server n1 10.0.0.250:8004\n"
    )
    assert found(text) == (["A2-server-is-proxy"] if loop else [])


def test_files_of_some_machines_only_are_a_note() -> None:
    """If every API of the files is behind a server, a further server is a note; else it is a warning."""
    text = "listen heat\n bind 10.0.0.1:8004\n server a 10.0.0.2:8004\n server b 10.0.0.3:8004\n"
    inputs = Inputs(proxies=(("proxy", (("p.cfg", text),)),))
    for address, severity in (("10.0.0.2", "note"), ("10.0.0.9", "warning")):
        heat = (HeatFiles("A", (("a.conf", at(address)),)),)
        faults = audit.audit(replace(inputs, heat=heat)).faults
        assert {f.severity for f in faults if f.rule == "A2-server-without-api"} == {severity}


def test_one_port_on_different_addresses_of_one_machine_is_no_conflict() -> None:
    """kolla: the virtual address, and the API at the machine's own address, at one port."""
    text = "listen heat\n bind 10.0.0.250:8004\n server c1 10.0.0.11:8004\n"
    assert found(text, ("c1", at("10.0.0.11"))) == []


def test_apis_without_an_address_are_not_compared() -> None:
    """WSGI APIs have no bind_host: nothing is known of their addresses, and nothing is found."""
    text = "listen heat\n bind 10.0.0.1:8004\n server a 10.0.0.2:8004\n"
    assert found(text, ("a", "[DEFAULT]\nnum_engine_workers = 4\n")) == []


@pytest.mark.parametrize(
    ("host", "rules"), [("heat.example.org", []), ("10.0.0.7", ["A2-bind-unknown"]), ("10.0.0.1", [])]
)
def test_a_front_by_name_cannot_be_compared_with_a_bind(host: str, rules: list[str]) -> None:
    """The host of the clients' URL may be a name of the address that is bound."""
    text = "listen heat\n bind 10.0.0.1:8004\n bind 10.0.0.2:8004\n server a 10.0.0.3:8004\n"
    assert found(text, fronts={"rest": Address(host=host, port=8004)}) == rules


def test_a_missing_server_is_added_to_each_section_once() -> None:
    """An API behind no server of two sections is added to both; the corrected files have no finding."""
    second = clean.PROXY[clean.PROXY.index("listen rest_api_proxy") : clean.PROXY.index("listen cfn")]
    second = second.replace("rest_api_proxy", "rest_api_external").replace(
        "bind 10.0.0.1", "bind 192.0.2.1"
    )
    text = (clean.PROXY + second).replace("    server rest-2 10.0.0.3:8004\n", "")
    inputs = clean.inputs(text)
    assert [f.rule for f in audit.audit(inputs).faults] == ["A2-api-behind-no-server"]
    after = audit.corrected(inputs)
    assert after.texts["apis-proxy.conf"].count("server C-rest 10.0.0.3:8004 check") == 2
    assert audit.audit(after).faults == ()


CHAIN = """\
frontend heat_tls
 bind 192.0.2.1:8004 ssl crt /x.pem
 default_backend local
backend local
 server inner 127.0.0.1:9004
listen heat_api
 bind 127.0.0.1:9004
 balance source
 server a 10.0.0.2:8004
 server b 10.0.0.3:8004
"""


def test_a_chain_of_sections_ends_at_the_servers_of_the_last() -> None:
    """The front of the first section and the servers of the last are described."""
    inputs = Inputs(proxies=(("proxy", (("p.cfg", CHAIN),)),))
    rest = describe(inputs, Answers(), folder=Path(), secrets_file="s.toml").deployment.rest
    assert (rest.url, rest.proxy_section) == ("https://192.0.2.1:8004/v1", "heat_api")
    assert [each.address for each in rest.backends] == ["10.0.0.2:8004", "10.0.0.3:8004"]


@pytest.mark.parametrize(
    ("old", "new", "hidden"),
    [
        ("balance source", "balance source", True),
        ("balance source", "balance leastconn", False),
        ("127.0.0.1:9004\nlisten", "127.0.0.1:9004 send-proxy-v2\nlisten", False),
    ],
)
def test_a_section_behind_another_sees_one_source(old: str, new: str, hidden: bool) -> None:
    """balance source behind a section of the same proxy is an error, except with the PROXY protocol."""
    inputs = Inputs(proxies=(("proxy", (("p.cfg", CHAIN.replace(old, new)),)),))
    found = {each.rule for each in audit.audit(inputs).faults}
    assert ("A5-source-hidden" in found) == hidden
