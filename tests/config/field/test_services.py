"""Which service is which in the field cases: URL, section and backends of each API."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import pytest

from calorimeter.config import named_files
from calorimeter.config.audit import HeatFiles, Inputs, corrected
from calorimeter.config.audit.subject import build
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.deployment import Api
from calorimeter.core.errors import InputError
from tests.config.field.cases import case

Described = tuple[str, str, str] | None
_IPV6 = "fd00:fd00:fd00:2000:"
_TRIPLEO = " ".join(
    f"overcloud-controller-{n}.internalapi.localdomain=[{_IPV6}:1{n}]:PORT" for n in range(3)
)
_KOLLA = "ctl01=10.0.0.11:PORT ctl02=10.0.0.12:PORT ctl03=10.0.0.13:PORT"
_CONTROLLERS = "controller-0=10.0.0.10:PORT controller-1=10.0.0.11:PORT controller-2=10.0.0.12:PORT"
_RDO = "node1=10.0.0.221:PORT node2=10.0.0.222:PORT node3=10.0.0.223:PORT"
_OSA = [
    f"infra{n}_heat_api_container-{c}=10.0.0.1{n}:PORT" for n, c in ((1, "aaaa"), (2, "bbbb"), (3, "cccc"))
]
_PAIR = "n1=10.0.0.11:8004 n2=10.0.0.12:8004"

EXPECTED: dict[str, tuple[tuple[str, str, str], Described]] = {
    "h01": (
        ("http://10.0.0.250:8004/v1", "heat_api_back", _KOLLA),
        ("http://10.0.0.250:8000/v1", "heat_api_cfn_back", _KOLLA),
    ),
    "h03": (
        ("https://192.0.2.250:8004/v1", "heat_api-back", " ".join(_OSA)),
        ("https://192.0.2.250:8000/v1", "heat_api_cfn-back", " ".join(_OSA[:2])),
    ),
    "h04": (
        (f"http://[{_IPV6}:5]:8004/v1", "heat_api", _TRIPLEO),
        (f"http://[{_IPV6}:5]:8000/v1", "heat_cfn", _TRIPLEO),
    ),
    "h07": (
        (
            "http://10.0.0.254:8004/v1",
            "heat_orchestration",
            "ctl00=ctl00.localdomain:8004 ctl01=ctl01.localdomain:8004",
        ),
        (
            "http://10.0.0.254:8000/v1",
            "heat_cloudformation",
            "ctl00=ctl00.localdomain:8000 ctl01=ctl01.localdomain:8000",
        ),
    ),
    "h08": (
        ("http://10.0.0.250:8004/v1", "heat_api", _CONTROLLERS),
        ("http://10.0.0.250:8000/v1", "heat_cfn", _CONTROLLERS),
    ),
    "h09": (
        ("http://10.0.0.220:8004/v1", "heat-srv-vms", _RDO),
        ("http://10.0.0.220:8000/v1", "heat-cfn-vms", _RDO),
    ),
    "h10": (
        ("https://192.0.2.10:8004/v1", "bk_heat_public", "heat1=10.0.0.11:PORT heat2=10.0.0.12:PORT"),
        ("https://192.0.2.10:8000/v1", "bk_heat_cfn_public", "heat1=10.0.0.11:PORT heat2=10.0.0.12:PORT"),
    ),
    "h14": (("http://10.0.0.250:8004/v1", "heat_api_back", _PAIR), None),
    "h16": (
        (
            "http://10.0.0.250:443/v1",
            "heat_api_server",
            "heat_api_1=10.0.0.11:8004 heat_api_2=10.0.0.12:8004",
        ),
        None,
    ),
    "h17": (
        (
            "http://10.0.0.79:8004/v1",
            "Heat_api_internal",
            "controller1=10.0.0.90:PORT controller2=10.0.0.83:PORT",
        ),
        (
            "http://10.0.0.79:8000/v1",
            "Heat-cfn_api_internal",
            "controller1=10.0.0.90:PORT controller2=10.0.0.83:PORT",
        ),
    ),
    "h18": (("http://10.0.0.250:8004/v1", "heat_api", _PAIR), None),
    "h19": (("http://10.0.0.250:8004/v1", "heat_api", _PAIR), None),
    "h21": (("http://10.0.0.254:8004/v1", "heat_api", _PAIR), None),
    "h22": (("http://10.0.0.254:8004/v1", "heat_api", _PAIR), None),
    "h24": (("https://192.0.2.3:8004/v1", "heat-api", "node-1=10.0.0.4:8004 node-2=10.0.0.5:8004"), None),
    "h26": (
        ("http://10.0.0.1:8004/v1", "heat3_backend", "controller1=10.0.3.100:8004"),
        ("http://10.0.0.1:8000/v1", "heat1_backend", "controller1=10.0.3.100:8000"),
    ),
}
READ_BY_ADDRESS = ("h01", "h03", "h04", "h09", "h10", "h14", "h16", "h17", "h18", "h24", "h26")
"""Cases in which the whole answer follows without the order and the names of sections."""


def shown(api: Api | None) -> Described:
    """URL, section and `NAME=ADDRESS …` of an API."""
    if api is None:
        return None
    return api.url, api.proxy_section, " ".join(f"{each.name}={each.address}" for each in api.backends)


def expected(name: str) -> tuple[Described, Described]:
    """What is expected of a case."""
    rest, cfn = EXPECTED[name]
    return (
        (rest[0], rest[1], rest[2].replace("PORT", "8004")),
        (cfn[0], cfn[1], cfn[2].replace("PORT", "8000")) if cfn else None,
    )


def answer(inputs: Inputs, answers: Answers | None = None) -> tuple[Described, Described]:
    """What `describe` says of both APIs."""
    found = case("h01").described(inputs, answers).deployment
    return shown(found.rest), shown(found.cfn)


def section_texts(inputs: Inputs) -> list[str]:
    """The texts of all sections of the only proxy, in order."""
    ((_, files),) = inputs.proxies
    text = "".join(text if text.endswith("\n") else f"{text}\n" for _, text in files)
    return re.split(r"(?m)^(?=(?:global|defaults|listen|frontend|backend)\b)", text)


def with_sections(inputs: Inputs, sections: list[str]) -> Inputs:
    """The inputs with other sections."""
    return replace(inputs, proxies=(("proxy", (("haproxy.cfg", "".join(sections)),)),))


@pytest.mark.parametrize("name", EXPECTED)
def test_each_case_is_described(name: str) -> None:
    """URL, section and backends of both APIs are right."""
    assert answer(case(name).inputs()) == expected(name)


@pytest.mark.parametrize("name", READ_BY_ADDRESS)
def test_the_order_of_sections_does_not_matter(name: str) -> None:
    """Shuffled sections give the same answer."""
    inputs = case(name).inputs()
    first, *sections = section_texts(inputs)
    shuffled = [each for each in sections if not each.startswith(("global", "defaults"))]
    fixed = [each for each in sections if each.startswith(("global", "defaults"))]
    for seed in range(3):
        random.Random(seed).shuffle(shuffled)
        assert answer(with_sections(inputs, [first, *fixed, *shuffled])) == expected(name)


@pytest.mark.parametrize("name", sorted(set(READ_BY_ADDRESS) - {"h16"}))
def test_the_names_of_sections_do_not_matter_where_the_ports_say_it(name: str) -> None:
    """With neutral names the answer is the same, except for the name of the section."""
    inputs = case(name).inputs()
    sections = section_texts(inputs)
    names = sorted(
        {each.split()[1] for each in sections if each.startswith(("listen", "frontend", "backend"))}
    )
    neutral = {old: f"s{number}" for number, old in enumerate(names)}
    pattern = r"(?m)^(\s*(?:listen|frontend|backend|default_backend|use_backend)\s+)(\S+)"
    text = re.sub(pattern, lambda found: found[1] + neutral.get(found[2], found[2]), "".join(sections))
    for found, right in zip(answer(with_sections(inputs, [text])), expected(name), strict=True):
        assert (found is None) == (right is None)
        if found and right:
            assert found == (right[0], neutral[right[1]], right[2])


OTHERS = """\
listen keystone_public
  bind 10.0.0.250:5000
  server ctl01 10.0.0.11:5000 check
frontend horizon
  bind 10.0.0.250:80
  bind 10.0.0.250:443
  default_backend horizon_back
backend horizon_back
  server ctl01 10.0.0.11:80 check
listen magnum_api
  bind 10.0.0.250:9511
  server ctl01 10.0.0.11:9511 check
listen octavia
  bind 10.0.0.250:9876
  server ctl01 10.0.0.11:9876 check
listen ceph_rgw
  bind 10.0.0.251:8000
  server ctl01 10.0.0.31:8000 check
listen prometheus_server
  bind 10.0.0.252:8004
  server ctl01 10.0.0.31:8004 check
listen django
  bind 10.0.0.253:8000
  server web1 10.9.0.1:8000 check
"""


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"h19", "h22"}))
def test_unrelated_services_do_not_matter(name: str) -> None:
    """The services of a whole cloud beside Heat, some at its ports, do not change the answer."""
    inputs = case(name).inputs()
    assert answer(with_sections(inputs, [*section_texts(inputs), OTHERS])) == expected(name)


@pytest.mark.parametrize("name", ["h01", "h08", "h09", "h10", "h26"])
def test_every_named_section_is_obeyed(name: str) -> None:
    """Whichever section is named for an API, by its own name or its frontend's, is the one described."""
    inputs = case(name).inputs()
    (proxy,) = build(inputs).proxies
    for candidate in proxy.sections.candidates:
        service = candidate.service
        for given in (service.name, service.front.name):
            chosen = replace(inputs, sections={"rest": given})
            rest = case(name).described(chosen).deployment.rest
            assert rest.proxy_section == service.name
            assert {each.address for each in rest.backends} == {s.text for s in service.back.servers}
            port = next(bind.port for bind in service.front.binds)
            assert rest.url.endswith(f":{port}/v1")


def test_a_backend_that_a_map_chooses_is_usable() -> None:
    """kolla's single external frontend: the backends are known; the clients' host name is asked for."""
    files = case("h02")
    described = files.describe(sections={"rest": "heat_api_external_back"})
    assert shown(described.deployment.rest) == (
        "http://192.0.2.250:443/v1",
        "heat_api_external_back",
        "ctl01=10.0.0.11:8004 ctl02=10.0.0.12:8004",
    )
    (missing,) = (each for each in described.missing if each.key == "rest.url")
    assert "req.hdr(host)" in missing.what
    assert missing.option == "--rest-url http://HOST:443/v1"
    with pytest.raises(InputError, match="did you mean 'heat_api_external_back'"):
        named_files.require_apis(files.inputs(sections={"rest": "heat_api_external_bak"}))


def test_a_frontend_without_bind_is_asked_for() -> None:
    """An address in the line of the frontend is no bind: the URL is asked for, and then used."""
    with pytest.raises(InputError, match="--rest-url"):
        case("h11").describe()
    rest = case("h11").describe(Answers(rest_url="http://10.0.0.5:8004/v1")).deployment.rest
    assert shown(rest) == ("http://10.0.0.5:8004/v1", "heat-backend", "n1=10.0.0.11:8005 n2=10.0.0.12:8005")


def test_the_users_keystone_decides_between_fronts() -> None:
    """The front at the host of OS_AUTH_URL is described; the other one is in the notes."""
    public = Answers(auth_url="https://192.0.2.250:5000/v3")
    described = case("h01").describe(public)
    assert described.deployment.rest.url == "https://192.0.2.250:8004/v1"
    assert described.deployment.rest.proxy_section == "heat_api_external_back"
    assert any("http://10.0.0.250:8004/v1" in note for note in described.notes)


@pytest.mark.parametrize("hosts", [("ctl00", "ctl01"), ("a", "b")])
def test_names_that_cannot_be_compared_are_no_finding(hosts: tuple[str, str]) -> None:
    """Servers by name and APIs by address: no error, no warning, no patch; at most one note a section."""
    inputs = case("h07").inputs()
    heat = tuple(HeatFiles(host, each.files) for host, each in zip(hosts, inputs.heat, strict=True))
    inputs = replace(inputs, heat=heat)
    found = [each for each in case("h07").report(inputs).faults if each.gate in ("A1", "A2")]
    assert [each.severity for each in found] == ([] if hosts[0] == "ctl00" else ["note", "note"])
    text = corrected(inputs).texts
    assert sum(each.count("server ctl") + each.count(" server a-") for each in text.values()) == 4


def test_resolved_names_are_compared() -> None:
    """A name that resolves to another address than the API's is a server without an API."""
    addresses = {"ctl00.localdomain": ("10.0.0.10",), "ctl01.localdomain": ("10.0.0.99",)}
    found = {each.rule for each in case("h07").found("A2", addresses=addresses)}
    assert found == {"A2-server-without-api", "A2-api-behind-no-server"}
    addresses["ctl01.localdomain"] = ("10.0.0.11",)
    assert case("h07").found("A2", addresses=addresses) == []
