"""HAProxy's files of the field cases, read as HAProxy reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from calorimeter.config import haproxy, named_files
from calorimeter.config.audit import audit, corrected
from calorimeter.config.audit.haproxy_messages import with_haproxy_messages
from calorimeter.config.audit.subject import Inputs
from calorimeter.config.describe.stats_urls import pages
from calorimeter.config.haproxy import HAProxyConfig, ProxySection, program
from calorimeter.core.errors import InputError
from tests.config.audit import clean
from tests.config.field.cases import case


def configuration(name: str) -> HAProxyConfig:
    """The proxy of a case, resolved."""
    ((_, files),) = case(name).inputs().proxies
    return haproxy.resolve(haproxy.parse(files, {}))


def section(name: str, proxy: str) -> ProxySection:
    """One section of a case: of a frontend and a backend with one name, the backend."""
    named = [each for each in configuration(name).proxies if each.name == proxy]
    return max(named, key=lambda each: len(each.servers))


def stats(name: str) -> list[str]:
    """The URLs of the stats pages of a case."""
    return [url for urls, _ in pages(configuration(name)) for url in urls]


def test_backends_behind_an_expression_are_services() -> None:
    """kolla's one external frontend: each backend may be reached, and can be named."""
    found = [(each.name, each.via) for each in configuration("h02").services]
    assert ("horizon_back", "dynamic") in found
    assert ("heat_api_external_back", "dynamic") in found
    inputs = case("h02").inputs(sections={"rest": "heat_api_external_back"})
    named_files.require_apis(inputs)
    with pytest.raises(InputError, match="heat_api_external_back"):
        named_files.require_apis(case("h02").inputs(sections={"rest": "no_such_back"}))


def test_a_table_that_counts_and_a_cookie_without_values_keep_nobody() -> None:
    """OpenStack-Ansible's stick-table limits rates; a cookie without values on the servers is not set."""
    table = section("h03", "heat_api-back").persistence
    cookie = section("h16", "heat_api_server").persistence
    assert table is not None
    assert cookie is not None
    assert (table.kind, table.works, cookie.kind, cookie.works) == ("stick", False, "cookie", False)


@pytest.mark.parametrize(
    ("name", "proxy", "request_", "accepts_300"),
    [
        ("h03", "heat_api-back", "HEAD /healthcheck", True),
        ("h15", "heat_api", "GET /", False),
        ("h17", "Heat_api_internal", "GET /", True),
        ("h24", "heat-api", "OPTIONS /", True),
        ("h30", "heat_api", "HEAD /", True),
    ],
)
def test_what_checks_ask_and_accept(name: str, proxy: str, request_: str, *, accepts_300: bool) -> None:
    """The method is that of option httpchk; http-check expect decides what is accepted."""
    found = section(name, proxy)
    assert found.health_request is not None
    assert found.health_request.text == request_
    assert found.accepted_statuses.accepts(300) is accepts_300


def test_options_of_a_backend_are_not_those_of_its_frontend() -> None:
    """`option tcplog` and `tcpka` in a backend log nothing, and keep only the servers' side alive."""
    logs = case("h10").found("A9-log-without-server")
    assert {finding.changes[0].lines for finding in logs} == {("  option httplog",)}
    assert all("to clients" in finding.says for finding in case("h10").found("A7-no-keepalive"))


def test_an_address_on_the_line_of_the_frontend_is_read_and_named() -> None:
    """HAProxy 1 binds it, HAProxy 2 refuses it; the change moves it to a bind line."""
    found = case("h11").found("A2-line-of-haproxy-1")
    assert [finding.line for finding in found] == [14, 19]
    text = next(iter(corrected(case("h11").inputs()).texts.values()))
    assert "frontend openstack-heat\n    bind *:8004\n" in text
    assert [bind.text for bind in section("h11", "openstack-heat").binds] == ["*:8004"]


def test_stats_are_inherited_from_defaults() -> None:
    """The page is at the frontend's address; nobody is told that there is none."""
    assert stats("h14") == ["http://10.0.0.250:8004/haproxy?stats"]
    assert case("h14").found("A9-no-stats") == []


def test_the_uri_of_a_page_and_the_sections_that_it_shows() -> None:
    """A URI with a query is kept; a page that shows another section only is no state of Heat's."""
    assert stats("h30") == ["http://127.0.0.1:1936/haproxy?stats"]
    (finding,) = case("h26").found("A9-no-stats")
    assert "shows only heat1" in finding.says


def test_use_backend_without_a_condition_is_a_path() -> None:
    """It is used for every connection."""
    found = [(each.front.name, each.name, each.via) for each in configuration("h17").services]
    assert found[0] == ("Heat_api_internal", "Heat_api_internal", "use_backend")


def test_a_disabled_section_serves_nobody() -> None:
    """It is no service, and nothing is found in it."""
    assert [each.name for each in configuration("h19").services] == ["heat_api"]
    assert not [each for each in case("h19").found() if "heat_api_old" in each.says]


def test_hidden_files_of_a_folder_are_not_read() -> None:
    """HAProxy leaves out `.heat.cfg`."""
    assert [each.name for each in configuration("h22").services] == ["heat_api"]


def test_an_include_is_named_by_its_line() -> None:
    """HAProxy has no `include`: one line says so, in the error and in the audit."""
    with pytest.raises(InputError, match=r"haproxy\.cfg:20: 'include conf\.d/\*\.cfg' is not a statement"):
        named_files.require_apis(case("h23").inputs())
    assert [each.line for each in case("h23").found("A2-line-unreadable")] == [20]


def test_copied_files_are_not_errors() -> None:
    """HAProxy is asked only on request; what this machine lacks is then a note."""
    inputs = case("h28").inputs()
    assert case("h28").found("A2") == []
    asked = named_files.with_options(inputs, ask_haproxy=frozenset({"proxy"}))
    faults = with_haproxy_messages(audit(asked), asked).faults
    assert {(each.rule, each.serious) for each in faults} == {("A2-haproxy-lacks", False)}


def test_a_missing_program_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """If HAProxy is to be asked and is not there, the audit does not look as if it had agreed."""
    monkeypatch.setattr(program, "messages", lambda paths: None)
    asked = case("h28").inputs(ask_haproxy=frozenset({"proxy"}))
    with pytest.raises(InputError, match="--check-with-haproxy: the haproxy program cannot be run here"):
        with_haproxy_messages(audit(asked), asked)


def test_each_section_gets_the_log_option_of_its_mode(tmp_path: Path) -> None:
    """Sections of both modes under one defaults: HAProxy has nothing to say about the corrected file."""
    text = next(iter(corrected(case("h29").inputs()).texts.values()))
    assert "option" not in text[text.index("timeout check") : text.index("listen heat_api")]
    assert (text.count("option httplog"), text.count("option tcplog")) == (1, 1)
    (tmp_path / "f.cfg").write_text(text)
    assert [each.text for each in program.messages([tmp_path / "f.cfg"]) or ()] == []


def test_own_rules_of_a_section_take_the_inherited_request_away() -> None:
    """HAProxy sends nothing then; the change repeats the option."""
    text = next(iter(case("h28").inputs().texts.values()))
    moved = text.replace("  option httpchk GET /healthcheck\n", "  http-check expect status 200\n")
    moved = moved.replace("  option tcpka\n", "  option tcpka\n  option httpchk GET /healthcheck\n", 1)
    inputs = Inputs(proxies=(("proxy", (("f", moved),)),))
    (finding,) = (each for each in audit(inputs).faults if each.rule == "A6-check-sends-nothing")
    assert "every server is DOWN" in finding.follows
    assert not [each for each in audit(corrected(inputs)).faults if each.rule == finding.rule]


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("upstream heat {\n  server 10.0.0.1:8004;\n}\n", "nginx"),
        ("# copy\n<Proxy balancer://heat>\n BalancerMember http://10.0.0.1:8004\n</Proxy>\n", "Apache"),
        ("apiVersion: networking.k8s.io/v1\nkind: Ingress\n", "Kubernetes"),
        ("static_resources:\n  listeners: []\n", "Envoy"),
        ("http:\n  routers:\n    heat: {}\n", "Traefik"),
    ],
)
def test_the_files_of_another_proxy_are_named(text: str, looks: str, tmp_path: Path) -> None:
    """One line has the file, its first statement, and the program that it looks like."""
    file = tmp_path / "proxy.cfg"
    file.write_text(text)
    for given in (([file], [], []), ([], [], [str(file)])):
        with pytest.raises(InputError, match=rf"proxy\.cfg:\d: .* is not a statement of HAProxy .*{looks}"):
            named_files.from_files(*given)


def test_the_statement_of_a_wrong_file_is_masked(tmp_path: Path) -> None:
    """A heat.conf in the place of the proxy's file does not show its password."""
    (tmp_path / "heat.cfg").write_text("transport_url = rabbit://heat:broker-pw@10.0.0.1/\n")
    with pytest.raises(InputError) as problem:
        named_files.from_files([tmp_path / "heat.cfg"], [])
    assert "broker-pw" not in str(problem.value)


def test_messages_of_haproxy_are_masked(tmp_path: Path) -> None:
    """A password that HAProxy quotes is hidden, as in all findings."""
    file = tmp_path / "f.cfg"
    file.write_text("listen a\n bind :80\n stats auth admin:s3cret-pw\n s3cret-pw\n")
    asked = Inputs((("proxy", ((str(file), file.read_text()),)),), ask_haproxy=frozenset({"proxy"}))
    found = [each.says for each in with_haproxy_messages(audit(asked), asked).faults]
    assert any("unknown keyword" in says for says in found)
    assert not [says for says in found if "s3cret-pw" in says]


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    """A file of comments only is no configuration."""
    (tmp_path / "empty.cfg").write_text("# nothing\n")
    with pytest.raises(InputError, match=r"empty\.cfg: is empty"):
        named_files.from_files([tmp_path], [])


def _clean(old: str, new: str) -> list[tuple[str, str]]:
    """The rules that find something in an edit of the clean deployment, with their severities."""
    inputs = clean.inputs(clean.PROXY.replace(old, new))
    return [(each.rule, str(each.severity)) for each in audit(inputs).faults]


@pytest.mark.parametrize("address", ["$HEAT1:8004", '"${HEAT1}:8004"', "10.0.0.2:${HEAT_PORT}", "$HEAT1"])
def test_an_address_with_an_unset_variable_is_one_note(address: str) -> None:
    """The address cannot be determined: nothing else is said about it, nor about the API that it may be."""
    assert _clean("10.0.0.2:8004", address) == [("A2-variable-unset", "note")]
    assert _clean("bind 10.0.0.1:8004", f"bind {address}") == [("A2-variable-unset", "note")]


def test_a_template_that_dns_fills_is_not_the_same_server_twice() -> None:
    """The number of servers of a template with resolvers is a maximum."""
    servers = "    server rest-1 10.0.0.2:8004\n    server rest-2 10.0.0.3:8004\n"
    template = "    server-template rest 1-5 heat.internal:8004 resolvers dns\n"
    assert "A1-server-twice" not in [rule for rule, _ in _clean(servers, template)]
    assert "A1-server-twice" in [rule for rule, _ in _clean(servers, template.replace("resolvers dns", ""))]
