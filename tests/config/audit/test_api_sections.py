"""Which sections serve Heat's APIs: the votes on a section, and the choice among sections."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.audit.sections.api_sections import ApiSections
from calorimeter.config.audit.sections.section_questions import require_apis
from calorimeter.config.audit.subject import build
from calorimeter.core.errors import InputError

HEAT = (HeatFiles("B", (("b.conf", "[heat_api]\nbind_host = 10.0.0.2\nbind_port = 18004\n"),)),)


def inputs(text: str, **options: object) -> Inputs:
    """One proxy with a text."""
    return replace(Inputs(proxies=(("proxy", (("p.cfg", text),)),)), **options)  # type: ignore[arg-type]


def sections(text: str, **options: object) -> ApiSections:
    """The sections of one proxy."""
    return build(inputs(text, **options)).proxies[0].sections


def chosen(found: ApiSections) -> dict[str, list[str]]:
    """API → names of its sections with servers, without those APIs that have none."""
    return {
        api: list(dict.fromkeys(each.name for each in services))
        for api, services in found.services.items()
        if services
    }


def listen(name: str, bind: str, server: str) -> str:
    """A section with one server."""
    return f"listen {name}\n  bind {bind}\n  server n1 {server}\n"


VOTES: list[tuple[str, str, str, str | None]] = [
    # name, bind, server: the API that the votes give it to
    ("heat_api", "10.0.0.1:8004", "10.0.0.2:8004", "rest"),
    ("orchestration", "10.0.0.1:443", "10.0.0.2:9000", "rest"),
    ("heat_orchestration", "10.0.0.1:80", "10.0.0.2:80", "rest"),
    ("heat-srv-vms", "10.0.0.1:8004", "10.0.0.2:8004", "rest"),
    ("heat3", "10.0.0.1:8004", "10.0.0.2:8004", "rest"),
    ("vipheat", "10.0.0.1:80", "10.0.0.2:80", "rest"),
    ("s1", "10.0.0.1:13004", "10.0.0.2:9000", "rest"),
    ("s1", "10.0.0.1:80", "10.0.0.2:18004", "rest"),
    ("heat_api_cfn", "10.0.0.1:80", "10.0.0.2:80", "cfn"),
    ("heat-cfn", "10.0.0.1:8000", "10.0.0.2:8000", "cfn"),
    ("heat_cloudformation", "10.0.0.1:8000", "10.0.0.2:8004", "cfn"),
    ("heat1", "10.0.0.1:8000", "10.0.0.2:8000", "cfn"),
    ("s1", "10.0.0.1:13005", "10.0.0.2:9000", "cfn"),
    ("heat2", "10.0.0.1:8003", "10.0.0.2:8003", None),
    ("heat_cloudwatch", "10.0.0.1:8004", "10.0.0.2:8004", None),
    ("heat-cloudw", "10.0.0.1:80", "10.0.0.2:80", None),
    ("heat_api_cw", "10.0.0.1:80", "10.0.0.2:8000", None),
    ("magnum", "10.0.0.1:8004", "10.0.0.2:8004", None),
    ("octavia_api", "10.0.0.1:8000", "10.0.0.2:8000", None),
    ("preheat", "10.0.0.1:80", "10.0.0.2:80", None),
    ("heatmap", "10.0.0.1:80", "10.0.0.2:80", None),
    ("heat_cfn", "10.0.0.1:8004", "10.0.0.2:8004", None),  # a contradiction
]


@pytest.mark.parametrize(("name", "bind", "server", "api"), VOTES)
def test_the_votes_on_a_section(name: str, bind: str, server: str, api: str | None) -> None:
    """Name, ports and the Heat files' addresses decide together; each vote has a reason."""
    (candidate,) = sections(listen(name, bind, server), heat=HEAT).candidates
    assert candidate.api == api
    assert all(vote.reason and vote.weight > 0 for vote in candidate.votes)


def test_the_old_cloudwatch_port_is_an_api_if_a_heat_file_says_so() -> None:
    """A REST API that is configured at port 8003 is one."""
    conf = HeatFiles("B", (("b.conf", "[heat_api]\nbind_host = 10.0.0.2\nbind_port = 8003\n"),))
    assert chosen(sections(listen("s1", ":80", "10.0.0.2:8003"), heat=(conf,))) == {"rest": ["s1"]}


def test_another_service_at_the_port_of_cfn_is_left_out() -> None:
    """A service at port 8000 on other machines is not CFN; the description asks about it."""
    heat = listen("heat_api", "10.0.0.1:8004", "10.0.0.2:8004")
    found = sections(heat + listen("django", "10.0.0.1:8000", "10.9.0.1:8000"))
    assert chosen(found) == {"rest": ["heat_api"]}
    assert [each.service.name for each in found.unclear["cfn"]] == ["django"]
    on_the_same_machine = sections(heat + listen("s7", "10.0.0.1:8000", "10.0.0.2:8000"))
    assert chosen(on_the_same_machine) == {"rest": ["heat_api"], "cfn": ["s7"]}


def test_equal_servers_are_the_same_only_with_equal_addresses() -> None:
    """Sections without a telling name are one API's if name and address of all servers agree."""
    same = listen("a", "10.0.0.1:8004", "10.0.0.2:8004") + listen("b", "10.1.0.1:8004", "10.0.0.2:8004")
    assert chosen(sections(same)) == {"rest": ["a", "b"]}
    different = same.replace("10.1.0.1:8004\n  server n1 10.0.0.2", "10.1.0.1:8004\n  server n1 10.1.0.2")
    assert chosen(sections(different)) == {}
    with pytest.raises(InputError) as refused:
        require_apis(build(inputs(different)))
    message = str(refused.value)
    assert "no section is plainly Heat's REST API; name it with --rest-section" in message
    assert "a (listen a: bind 10.0.0.1:8004, servers at port 8004)" in message
    assert "b (listen b: bind 10.1.0.1:8004, servers at port 8004)" in message
    assert "\n" not in message


ONE_FRONT = """\
frontend public
  bind 192.0.2.1:443 ssl crt /x.pem
  acl is_nova path_beg /compute
  acl for_cfn path_beg /cfn
  use_backend b1 if is_nova
  use_backend b2 if { path_beg /orchestration }
  use_backend b3 if for_cfn
  default_backend b4
backend b1
  server n1 10.0.0.2:8774
backend b2
  server n1 10.0.0.2:9004
backend b3
  server n1 10.0.0.2:9000
backend b4
  server n1 10.0.0.2:80
"""


def test_the_path_of_a_rule_tells_the_backends_of_one_frontend_apart() -> None:
    """Behind one frontend the paths and ACLs decide; the frontend's name means its only evident backend."""
    assert chosen(sections(ONE_FRONT)) == {"rest": ["b2"], "cfn": ["b3"]}
    given = sections(ONE_FRONT, sections={"rest": "public"})
    assert chosen(given)["rest"] == ["b2"]


@pytest.mark.parametrize("name", ["b1", "b4"])
def test_a_named_section_is_obeyed_against_all_votes(name: str) -> None:
    """Even a section of another service is used if the owner names it."""
    assert chosen(sections(ONE_FRONT, sections={"rest": name}))["rest"] == [name]


def test_a_frontend_with_several_backends_must_be_told_apart() -> None:
    """If none of the backends of a named frontend is evident, the question lists them."""
    text = ONE_FRONT.replace("/orchestration", "/a").replace("/cfn", "/b").replace("for_cfn", "x")
    with pytest.raises(InputError, match="frontend public has several backends.*b4 .*b1 "):
        require_apis(build(inputs(text, sections={"rest": "public"})))


def test_a_section_that_no_frontend_uses_is_only_used_if_it_is_named() -> None:
    """A backend that HAProxy never reaches is no API, unless the owner says so."""
    text = listen("heat_api", ":8004", "10.0.0.2:8004") + "backend heat_old\n  server n1 10.9.0.2:8004\n"
    assert chosen(sections(text)) == {"rest": ["heat_api"]}
    assert chosen(sections(text, sections={"rest": "heat_old"})) == {"rest": ["heat_old"]}


def test_a_wrong_name_is_one_line_with_the_nearest_and_the_candidates() -> None:
    """The message has the given name, the nearest one, and the candidates with their reasons."""
    text = listen("heat_api", "10.0.0.1:8004", "10.0.0.2:8004")
    with pytest.raises(InputError) as refused:
        require_apis(build(inputs(text, sections={"rest": "heat_apo"})))
    assert str(refused.value) == (
        "p.cfg: unknown section of the REST API 'heat_apo'; name one of the sections with servers: "
        "heat_api (listen heat_api: bind 10.0.0.1:8004, servers at port 8004, name heat_api says Heat); "
        "did you mean 'heat_api'?"
    )
