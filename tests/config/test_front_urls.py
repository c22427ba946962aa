"""The front URL of an API: which of several binds is described, and what its host and path are."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config.audit import HeatFiles, Inputs
from calorimeter.config.describe.deployment_from_files import Description, describe
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.errors import InputError

SERVERS = "  server n1 10.0.0.2:8004\n"


def described(text: str, heat: str = "", answers: Answers | None = None) -> Description:
    """The description of one proxy and one Heat file."""
    confs = (HeatFiles("B", (("b.conf", heat),)),) if heat else ()
    inputs = Inputs(proxies=(("proxy", (("p.cfg", text),)),), heat=confs)
    return describe(inputs, answers or Answers(), folder=Path(), secrets_file="s.toml")


def url(text: str, heat: str = "", answers: Answers | None = None) -> str:
    """The front URL of the REST API."""
    return described(text, heat, answers).deployment.rest.url


def test_tls_is_preferred_and_the_lines_of_a_section_keep_their_order() -> None:
    """Without a hint the https front is the clients'; among equals the first bind of the section is."""
    binds = "  bind 10.0.0.9:8004\n  bind 10.0.0.1:8004\n"
    assert url(f"listen heat\n{binds}{SERVERS}") == "http://10.0.0.9:8004/v1"
    tls = f"listen heat\n{binds}  bind 192.0.2.1:8004 ssl crt /x\n{SERVERS}"
    assert url(tls) == "https://192.0.2.1:8004/v1"


def test_the_keystone_of_clients_decides() -> None:
    """The front at the host at which clients find Keystone is described, the user's own Keystone first."""
    text = f"listen heat\n  bind 192.0.2.1:8004 ssl crt /x\n  bind 10.0.0.1:8004\n{SERVERS}"
    heat = "[keystone_authtoken]\nwww_authenticate_uri = http://10.0.0.1:5000\n"
    assert url(text, heat) == "http://10.0.0.1:8004/v1"
    assert url(text, heat, Answers(auth_url="https://192.0.2.1:5000/v3")) == "https://192.0.2.1:8004/v1"


def test_the_section_of_a_given_url_is_described() -> None:
    """--rest-url decides which of two sections is described."""
    text = (
        "listen heat_a\n  bind 10.0.0.1:8004\n  server n1 10.0.0.2:8004\n"
        "listen heat_b\n  bind 10.1.0.1:8004\n  server n1 10.1.0.2:8004\n"
    )
    found = described(text, answers=Answers(rest_url="http://10.1.0.1:8004/v1"))
    assert found.deployment.rest.proxy_section == "heat_b"
    assert [each.address for each in found.deployment.rest.backends] == ["10.1.0.2:8004"]
    assert any("heat_a has other servers" in note for note in found.notes)


def test_a_bind_to_every_address_takes_its_host_from_a_url_of_the_proxy() -> None:
    """If the proxy binds Keystone's port, too, Keystone's host is the proxy's; else it is asked for."""
    heat = "[keystone_authtoken]\nwww_authenticate_uri = http://vip.example.org:5000\n"
    text = f"listen heat\n  bind *:8004\n{SERVERS}"
    with pytest.raises(InputError, match="--rest-url"):
        url(text, heat)
    keystone = "listen keystone\n  bind *:5000\n  server n1 10.0.0.2:5000\n"
    assert url(text + keystone, heat) == "http://vip.example.org:8004/v1"


def test_the_url_of_one_api_gives_the_host_of_the_other() -> None:
    """The charm's proxies bind every address: --rest-url is enough for both APIs."""
    text = (
        f"listen heat\n  bind *:8004\n{SERVERS}listen heat_cfn\n  bind *:8000\n  server n1 10.0.0.2:8000\n"
    )
    cfn = described(text, answers=Answers(rest_url="http://10.0.0.250:8004/v1")).deployment.cfn
    assert cfn is not None
    assert cfn.url == "http://10.0.0.250:8000/v1"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("if { path_beg /orchestration }", "https://192.0.2.1:443/orchestration/v1"),
        ("if { path_beg -i /heat-api/ }", "https://192.0.2.1:443/heat-api/v1"),
        ("if { path_beg /v1 }", "https://192.0.2.1:443/v1"),
        ("if { hdr(host) -i heat.example.org }", "https://heat.example.org:443/v1"),
        ("if { ssl_fc_sni heat.example.org } { path_beg /heat }", "https://heat.example.org:443/heat/v1"),
        ("if { hdr_beg(host) heat. }", "https://192.0.2.1:443/v1"),
    ],
)
def test_one_frontend_for_the_whole_cloud(rule: str, expected: str) -> None:
    """The host and the path that a `use_backend` rule asks for are those of the URL."""
    text = (
        f"frontend public\n  bind 192.0.2.1:443 ssl crt /x\n  use_backend heat {rule}\n"
        f"  default_backend web\nbackend heat\n{SERVERS}backend web\n  server n1 10.0.0.2:80\n"
    )
    assert url(text) == expected


def test_tls_that_passes_through_is_https() -> None:
    """A rule on the name of the TLS handshake in mode tcp means https."""
    text = (
        "frontend public\n  mode tcp\n  bind 192.0.2.1:443\n"
        f"  use_backend heat if {{ req.ssl_sni -i heat.example.org }}\nbackend heat\n{SERVERS}"
    )
    assert url(text) == "https://heat.example.org:443/v1"


def test_a_server_without_a_port_has_that_of_the_client() -> None:
    """HAProxy connects to the port that the client asked for."""
    found = described("listen heat\n  bind 10.0.0.1:8004\n  server n1 10.0.0.2\n")
    assert [each.address for each in found.deployment.rest.backends] == ["10.0.0.2:8004"]
