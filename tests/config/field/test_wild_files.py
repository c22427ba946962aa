"""Configurations of deployers other than those of the field cases, reduced to what was read wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config.audit import HeatFiles, Inputs, audit
from calorimeter.config.describe.deployment_from_files import Description, describe
from calorimeter.config.describe.owner_answers import Answers
from calorimeter.core.errors import InputError

HEAT = (
    "[DEFAULT]\ntransport_url = rabbit://u:p@10.0.0.9/\n[heat_api]\nbind_host = 10.0.0.2\n"
    "[oslo_middleware]\nenable_proxy_headers_parsing = true\n"
)
CHAIN = """\
defaults
  mode http
frontend tls_heat
  mode tcp
  bind 192.0.2.7:8004 ssl crt /x.pem
  default_backend to_heat
backend to_heat
  mode tcp
  server local 127.0.0.1:18004 send-proxy-v2
frontend heat_in
  bind 127.0.0.1:18004 accept-proxy
  http-request set-header X-Forwarded-Proto https{condition}
  default_backend heat_api
backend heat_api
  server n1 10.0.0.2:8004 check
"""


def inputs(text: str, **environment: str) -> Inputs:
    """One proxy, and one Heat file of host B."""
    heat = (HeatFiles("B", (("b.conf", HEAT),)),)
    return Inputs(proxies=(("proxy", (("p.cfg", text),)),), heat=heat, environment=environment)


def described(given: Inputs, answers: Answers | None = None) -> Description:
    """The deployment that `describe` makes of them."""
    return describe(given, answers or Answers(), folder=Path(), secrets_file="s.toml")


def found(given: Inputs) -> set[str]:
    """The rules that find something."""
    return {finding.rule for finding in audit(given).faults}


@pytest.mark.parametrize(
    ("condition", "faulty"), [("", False), (" if { dst_port 18004 }", False), (" if { ssl_fc }", True)]
)
def test_the_section_behind_a_tls_frontend_may_tell_heat_of_it(condition: str, *, faulty: bool) -> None:
    """The header may be set one section later, but not on the condition that its own connection has TLS."""
    assert ("A2-https-links" in found(inputs(CHAIN.format(condition=condition)))) is faulty


def test_the_link_between_two_sections_is_no_front_of_clients() -> None:
    """Clients are not told of an address that only the proxy itself reaches."""
    description = described(inputs(CHAIN.format(condition="")))
    assert description.deployment.rest.url == "https://192.0.2.7:8004/v1"
    assert not [note for note in description.notes if "127.0.0.1" in note]


def test_variables_that_are_not_set_are_asked_for() -> None:
    """A deployment file with `$VIP` in it would not work: a line says what is needed instead."""
    text = 'listen heat\n  mode http\n  bind "$VIP:8004"\n  server n1 "$NODE":8004\n'
    with pytest.raises(
        InputError, match=r"heat is bound to \$VIP:8004; valid: --rest-url http://HOST:8004/v1"
    ):
        described(inputs(text, NODE="10.0.0.2"))
    with pytest.raises(InputError, match=r"\$NODE:8004 of server n1 .* that HAProxy starts with: NODE"):
        described(inputs(text), Answers(rest_url="http://10.0.0.1:8004/v1"))
    rest = described(inputs(text, NODE="10.0.0.2", VIP="10.0.0.1")).deployment.rest
    assert (rest.url, rest.backends[0].address) == ("http://10.0.0.1:8004/v1", "10.0.0.2:8004")


@pytest.mark.parametrize(
    ("address", "backend"), [("10.0.0.2", "10.0.0.2:8004"), ("10.0.0.2:+1000", "10.0.0.2:9004")]
)
def test_a_server_without_a_port_of_its_own_has_the_clients(address: str, backend: str) -> None:
    """It is the API at that port: no API is missing, and none is added a second time."""
    given = inputs(
        f"listen heat\n  mode http\n  bind 10.0.0.1:8004\n  server n1 {address} check port 8004\n"
    )
    port = backend.rpartition(":")[2]
    given = given.with_texts({"b.conf": HEAT.replace("[oslo_m", f"bind_port = {port}\n[oslo_m")})
    assert described(given).deployment.rest.backends[0].address == backend
    assert "A2-api-behind-no-server" not in found(given)
    other = given.with_texts({"b.conf": HEAT.replace("[oslo_m", "bind_port = 7004\n[oslo_m")})
    assert "A2-api-behind-no-server" in found(other)


def test_an_api_behind_a_socket_is_not_missing() -> None:
    """Which address an API has that the proxy reaches by a socket, its file does not say."""
    given = inputs("listen heat_api\n  bind 10.0.0.1:8004\n  server n1 unix@/run/heat.sock check\n")
    assert "A2-api-behind-no-server" not in found(given)


@pytest.mark.parametrize(
    ("release", "rules"),
    [(24, {"A11-workers-unsaid"}), (26, {"A10-value-refused"}), (27, {"A10-value-refused"})],
)
def test_no_engine_starts_with_0_workers_since_heat_26(release: int, rules: set[str]) -> None:
    """Before, 0 means one worker for each processor, and at least 4."""
    heat = HeatFiles("B", (("b.conf", "[DEFAULT]\nnum_engine_workers = 0\n"),))
    faults = found(Inputs(heat=(heat,), heat_release=release))
    assert faults & {"A11-workers-unsaid", "A10-value-refused"} == rules


@pytest.mark.parametrize(
    ("line", "faulty"),
    [
        ("[database]\nconnection = mysql+pymysql://heat:Zx91$word@h/heat\n", True),
        ("[keystone_authtoken]\npassword = Zx91$word\n", True),
        ("[DEFAULT]\nhost = $my_ip\n", True),
        ("[DEFAULT]\nlog_file = ${log_drr}/heat.log\n", True),
        ("[DEFAULT]\nlog_file = $log_dir/heat.log\n", False),
        ("[DEFAULT]\nhost = $mine\nmine = b\n", False),
        ("[heat_api]\nbind_host = ${heat_api_cfn.bind_host}\n", False),
        ("[database]\nconnection = mysql+pymysql://heat:Zx91$$word$5@h/heat\n", False),
    ],
)
def test_a_dollar_sign_before_no_option_ends_the_process(line: str, *, faulty: bool) -> None:
    """oslo.config raises NoSuchOptError; an option with a default, `$$` and `$5` are no fault."""
    given = Inputs(heat=(HeatFiles("B", (("b.conf", line),)),))
    faults = [each for each in audit(given).faults if each.rule == "A10-dollar-sign"]
    assert bool(faults) is faulty
    assert not any("$word" in each.model_dump_json() for each in faults)
